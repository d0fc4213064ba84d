"""Two workers, eight shards, a paced stream, and SIGKILL at every step of a delta's way."""

from pathlib import Path

import pytest
from tests.icecat import catalog_items
from tests.live.killer import Killer
from tests.live.ledger import Ledger, storm, twenty_terms
from tests.live.proof import prove
from tests.live.streaming import HeldStream

from kae.deploy.cluster import Cluster
from kae.streams.runtime import failpoints

pytestmark = pytest.mark.long

# Each step six times; what follows a rebalancing kill is a rebalance of its own.
STEPS = [step for _ in range(6) for step in failpoints.STEPS]


@pytest.mark.timeout(900)
def test_thirty_kills_while_streaming_change_nothing(
    cluster: Cluster, ledger: Ledger, killer: Killer, tmp_path: Path
) -> None:
    items = catalog_items()
    events = storm(items, seed=7)
    for n, term in enumerate(terms := twenty_terms(items)):
        events.insert((n + 1) * len(events) // (len(terms) + 1), term)
    for name in ("one", "two"):
        cluster.start_worker(name, killer.env, wait=False)
    cluster.wait_ready()
    stream = HeldStream(ledger, events, len(STEPS))

    killer.arm(STEPS[0])
    for step, following in zip(STEPS, [*STEPS[1:], None], strict=True):
        dead = killer.killed(step)
        assert stream.unsent > 0, "the stream ended before the last kill"
        stream.allow_more()
        if following == failpoints.REBALANCING:
            killer.arm(following)
            killer.revive(dead, wait=False)
            continue
        killer.revive(dead)
        if following is not None:
            killer.arm(following)
    stream.end()

    prove(cluster, ledger, tmp_path)
    assert ledger.published() >= 20_000
    assert killer.kills == dict.fromkeys(failpoints.STEPS, 6)
