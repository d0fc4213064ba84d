"""What `kae bench term --json` and `kae bench freshness --json` print."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

import msgspec


@dataclass(frozen=True, slots=True)
class TermRuns:
    """Seconds of each term and of each run of the peer; rates in item events a second."""

    items: int
    workers: int
    matching: list[int]
    full_rate: float
    load_rate: float
    idle: list[float]
    loaded: list[float]
    tantivy: list[float]
    poll: list[float]
    active: int = 0
    approved: bool = False


class TermReport(msgspec.Struct, frozen=True):
    """From just before the term event is sent until the replica has answered that all its items
    are decodable by it; `loaded` while items arrive at half of the full rate."""

    p50_ms: float
    p99_ms: float
    loaded_p50_ms: float
    loaded_p99_ms: float
    ratio_to_tantivy: float
    tantivy_p50_ms: float
    tantivy_p99_ms: float
    terms: int
    loaded_terms: int
    active_terms: int  # others, in force meanwhile
    approved: bool  # the clock begins with the approval
    tantivy_runs: int
    items: int
    matching: tuple[int, int]  # least and most items of a term
    workers: int
    full_events_per_second: float
    load_events_per_second: float
    poll_p50_ms: float  # one question for a receipt: a part of each term's time
    clock: str

    @staticmethod
    def of(runs: TermRuns) -> "TermReport":
        return TermReport(
            p50_ms=_ms(median(runs.idle)),
            p99_ms=_ms(_p99(runs.idle)),
            loaded_p50_ms=_ms(median(runs.loaded)),
            loaded_p99_ms=_ms(_p99(runs.loaded)),
            ratio_to_tantivy=round(median(runs.idle) / median(runs.tantivy), 3),
            tantivy_p50_ms=_ms(median(runs.tantivy)),
            tantivy_p99_ms=_ms(_p99(runs.tantivy)),
            terms=len(runs.idle),
            loaded_terms=len(runs.loaded),
            active_terms=runs.active,
            approved=runs.approved,
            tantivy_runs=len(runs.tantivy),
            items=runs.items,
            matching=(min(runs.matching), max(runs.matching)),
            workers=runs.workers,
            full_events_per_second=round(runs.full_rate, 1),
            load_events_per_second=round(runs.load_rate, 1),
            poll_p50_ms=_ms(median(runs.poll)),
            clock="before the send, to the replica's answer",
        )


@dataclass(frozen=True, slots=True)
class FreshnessRuns:
    """Seconds of each probe and of each pair of hops; rates in item events a second."""

    items: int
    workers: int
    full_rate: float
    load_rate: float
    ours: list[float]
    hops: list[float]


class FreshnessReport(msgspec.Struct, frozen=True):
    """From just before an item event is sent until the replica answers with its revision, while
    items arrive at half of the full rate."""

    p50_ms: float
    p99_ms: float
    ratio_to_two_hops: float
    two_hops_p50_ms: float
    two_hops_p99_ms: float
    probes: int
    items: int
    workers: int
    full_events_per_second: float
    load_events_per_second: float
    clock: str

    @staticmethod
    def of(runs: FreshnessRuns) -> "FreshnessReport":
        return FreshnessReport(
            p50_ms=_ms(median(runs.ours)),
            p99_ms=_ms(_p99(runs.ours)),
            ratio_to_two_hops=round(median(runs.ours) / median(runs.hops), 3),
            two_hops_p50_ms=_ms(median(runs.hops)),
            two_hops_p99_ms=_ms(_p99(runs.hops)),
            probes=len(runs.ours),
            items=runs.items,
            workers=runs.workers,
            full_events_per_second=round(runs.full_rate, 1),
            load_events_per_second=round(runs.load_rate, 1),
            clock="before the send, to the replica's answer",
        )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


def _p99(seconds: Sequence[float]) -> float:
    return quantiles(seconds, n=100, method="inclusive")[98] if len(seconds) > 1 else seconds[0]
