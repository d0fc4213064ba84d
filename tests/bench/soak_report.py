"""What `kae bench soak --json` prints, and its plot."""

import subprocess
from collections.abc import Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import msgspec

from kae.bench.soak import REPLICAS, WORKERS, Kill, Probe, SoakRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _KILL, _SLO = "#33415c", "#fed7aa", "#c2410c"
_ROLES = {"worker": "#1d4ed8", "replica": "#047857", "kafka": "#9ca3af"}
# What allocators, caches and the newest batches make of it.
MOST_GROWTH_MB = 64.0
_ROOT = Path(__file__).parents[2]


class Growth(msgspec.Struct, frozen=True):
    """Of a process that lived through the second half: medians of its first and last fifth."""

    process: str
    first_mb: float
    last_mb: float
    growth_mb: float


class SoakReport(msgspec.Struct, frozen=True):
    """Freshness is that of probes outside of kill windows: from a kill until the line is whole."""

    seconds: float
    seed: int
    commit: str
    events: int
    load_events_per_second: float
    full_events_per_second: float
    kills: dict[str, int]  # by process
    kill_windows_seconds: float
    problems: list[str]
    probes: int
    fresh_p50_ms: float | None
    fresh_p99_ms: float | None
    fresh_max_ms: float | None
    slo_ms: float
    beyond_slo: int  # probes outside of kill windows
    in_windows_p99_ms: float | None
    memory: list[Growth]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is lost, doubled, late outside of windows, or grows."""
        growing = any(one.growth_mb > MOST_GROWTH_MB for one in self.memory)
        return not (self.problems or self.beyond_slo or growing)


def report_of(run: SoakRun, slo_seconds: float) -> SoakReport:
    outside = [p.seconds for p in run.probes if not _in_window(p, run.kills)]
    inside = [p.seconds for p in run.probes if _in_window(p, run.kills)]
    names = sorted({kill.name for kill in run.kills})
    return SoakReport(
        seconds=run.seconds,
        seed=run.seed,
        commit=_commit(),
        events=run.published,
        load_events_per_second=round(run.load_rate, 1),
        full_events_per_second=round(run.full_rate, 1),
        kills={name: sum(kill.name == name for kill in run.kills) for name in names},
        kill_windows_seconds=round(sum(kill.over - kill.at for kill in run.kills), 1),
        problems=run.problems,
        probes=len(run.probes),
        fresh_p50_ms=_ms(median(outside)) if outside else None,
        fresh_p99_ms=_p99_ms(outside),
        fresh_max_ms=_ms(max(outside)) if outside else None,
        slo_ms=_ms(slo_seconds),
        beyond_slo=sum(seconds > slo_seconds for seconds in outside),
        in_windows_p99_ms=_p99_ms(inside),
        memory=[
            grown
            for process, samples in sorted(run.memory.items())
            if process in {*WORKERS, *REPLICAS}
            and (grown := _growth(process, samples, run)) is not None
        ],
    )


def draw(run: SoakRun, report: SoakReport) -> bytes:
    """Freshness and memory over time, kill windows shaded; SVG.

    Raises: ModuleNotFoundError without matplotlib (extra `plot`).
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {"svg.hashsalt": "kae", "svg.fonttype": "none"}
    with mpl.rc_context(style):
        figure = Figure(figsize=(10, 6.4), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True)
        _draw_freshness(above, run, report)
        _draw_memory(below, run)
        for axes in (above, below):
            for kill in run.kills:
                axes.axvspan(kill.at / 60, kill.over / 60, color=_KILL, linewidth=0)
            axes.spines[["top", "right"]].set_visible(False)
            axes.set_xlim(0, run.seconds / 60)
        below.set_xlabel("minutes (shaded: from a kill until the line is whole again)")
        picture = BytesIO()
        figure.savefig(picture, format="svg", metadata={"Date": None})
    return picture.getvalue()


def _draw_freshness(axes: "Axes", run: SoakRun, report: SoakReport) -> None:
    axes.scatter(
        [probe.at / 60 for probe in run.probes],
        [probe.seconds * 1000 for probe in run.probes],
        s=5,
        color=_INK,
        linewidths=0,
        zorder=3,
    )
    axes.axhline(report.slo_ms, color=_SLO, linewidth=1, linestyle="--")
    axes.annotate("SLO", (0, report.slo_ms), color=_SLO, va="bottom", fontsize=9)
    axes.set_yscale("log")
    axes.set_ylabel("event to replica (ms)")
    title = f"{report.events:,} events, {len(run.kills)} kills, seed {run.seed}, {report.commit}"
    axes.set_title(title, loc="left", fontsize=10)


def _draw_memory(axes: "Axes", run: SoakRun) -> None:
    for process, samples in sorted(run.memory.items()):
        role = process.partition("-")[0]
        # A gap where the process was dead.
        shown = [
            (at / 60, rss / 1e6 if at - before < 10 else float("nan"))
            for (before, _), (at, rss) in pairwise(samples)
        ]
        dashes = "-" if process.endswith("1") else "--"
        axes.plot(
            [at for at, _ in shown],
            [rss for _, rss in shown],
            dashes,
            color=_ROLES.get(role, _INK),
            linewidth=1.2,
            label=process,
            zorder=3,
        )
    axes.set_ylabel("resident memory (MB)")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8, ncols=5, loc="lower left", bbox_to_anchor=(0, 1))


def _growth(process: str, samples: Sequence[tuple[float, int]], run: SoakRun) -> Growth | None:
    """None of one that was killed in the second half, or was there too briefly."""
    half = run.seconds / 2
    if any(kill.name == process and kill.over > half for kill in run.kills):
        return None
    late = [rss for at, rss in samples if at > half]
    fifth = len(late) // 5
    if not fifth:
        return None
    first, last = median(late[:fifth]) / 1e6, median(late[-fifth:]) / 1e6
    return Growth(process, round(first, 1), round(last, 1), round(last - first, 1))


def _in_window(probe: Probe, kills: Sequence[Kill]) -> bool:
    """Whether it was under way at a moment at which the line was not whole."""
    return any(kill.at < probe.at + probe.seconds and probe.at < kill.over for kill in kills)


def _commit() -> str:
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip() or "no commit"


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _p99_ms(seconds: Sequence[float]) -> float | None:
    """None of too few."""
    return _ms(quantiles(seconds, n=100, method="inclusive")[98]) if len(seconds) > 1 else None
