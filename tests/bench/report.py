"""What `kae bench live --json` prints."""

from dataclasses import dataclass
from statistics import median

import msgspec


@dataclass(frozen=True, slots=True)
class Live:
    """Events a second of each run, bare agent and whole path in turn."""

    items: int
    workers: int
    batch_events: int
    bare: list[float]
    whole: list[float]


@dataclass(frozen=True, slots=True)
class Core:
    """Items a second of each run, floor and core in turn."""

    floor: list[float]
    core: list[float]


class LiveReport(msgspec.Struct, frozen=True):
    """Medians; a ratio is the median of the ratios of neighbouring runs."""

    ratio_to_bare_faust: float
    bare_faust_events_per_second: float
    events_per_second: float
    core_items_per_second: float
    core_ratio_to_floor: float
    floor_items_per_second: float
    items: int
    workers: int
    batch_events: int
    hashes_match: bool
    bare_runs: list[float]
    live_runs: list[float]

    @staticmethod
    def of(live: Live, core: Core) -> "LiveReport":
        """The live figures have come through `measure_live`, which refuses differing hashes."""
        return LiveReport(
            ratio_to_bare_faust=round(_ratio(live.whole, live.bare), 3),
            bare_faust_events_per_second=round(median(live.bare), 1),
            events_per_second=round(median(live.whole), 1),
            core_items_per_second=round(median(core.core), 1),
            core_ratio_to_floor=round(_ratio(core.core, core.floor), 3),
            floor_items_per_second=round(median(core.floor), 1),
            items=live.items,
            workers=live.workers,
            batch_events=live.batch_events,
            hashes_match=True,
            bare_runs=[round(run, 1) for run in live.bare],
            live_runs=[round(run, 1) for run in live.whole],
        )


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return median(our / their for our, their in zip(ours, theirs, strict=True))
