"""A line at half load while processes die: `kae bench soak`, for as long as is asked."""

import os

import pytest

from kae.bench.soak import Kill, Probe, SoakRun, measure_soak
from kae.bench.soak_report import MOST_GROWTH_MB, draw, report_of

# An hour is for whoever changes what a delta's way is; CI has half a minute.
SECONDS = float(os.environ.get("KAE_TEST_SOAK_SECONDS", "25"))
SLO_SECONDS = 5.0


@pytest.mark.long
@pytest.mark.kafka
@pytest.mark.timeout(SECONDS * 2 + 240)
def test_a_line_that_is_killed_again_and_again_loses_and_doubles_nothing() -> None:
    run = measure_soak(SECONDS, items=2000, seed=3)
    report = report_of(run, SLO_SECONDS)
    assert run.problems == []
    assert run.kills, "nobody was killed"
    assert report.events > 2 * 2000
    # What a busy machine does to freshness is no news; what an hour shows of it is.
    assert report.is_sound or SECONDS < 600, report


def test_a_report_tells_late_probes_outside_of_kill_windows_from_those_within() -> None:
    probes = [Probe(1.0, 0.1), Probe(5.0, 9.0), Probe(40.0, 6.0), Probe(60.0, 0.2)]
    memory = {
        "worker-1": [(float(at), 100_000_000 + at * 1_000_000) for at in range(100)],
        "worker-2": [(float(at), 100_000_000) for at in range(100)],
    }
    kills = [Kill("worker-2", 6.0, 20.0), Kill("worker-2", 70.0, 80.0)]
    run = SoakRun(100.0, 1, 1000.0, 10, 500.0, 50, kills, probes, memory)
    report = report_of(run, SLO_SECONDS)
    assert (report.beyond_slo, report.kills, report.kill_windows_seconds) == (
        1,
        {"worker-2": 2},
        24,
    )
    (grown,) = report.memory  # of the one that lived through the second half
    assert grown.process == "worker-1"
    assert grown.growth_mb == pytest.approx(40.0, abs=1.0)
    assert grown.growth_mb < MOST_GROWTH_MB
    assert not report.is_sound
    assert draw(run, report) == draw(run, report)
    assert b"2 kills" in draw(run, report)
