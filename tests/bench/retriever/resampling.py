"""Intervals by bootstrap: queries and seeds are drawn again, with replacement.

What is measured is a share: hits by seed and query, divided by what could be hit. Two shares are
compared on the same draws of queries, since one query is hard for both; their seeds are drawn apart
unless the same models answered both.

Source: Efron, Bootstrap Methods: Another Look at the Jackknife (1979); percentile intervals.
"""

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DRAWS = 2_000
# Of a two-sided interval of 95%.
_LOW, _HIGH = 2.5, 97.5


class Interval(msgspec.Struct, frozen=True):
    """A value, and the bounds of its interval of 95%."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Share:
    """Hits of each seed and query, (seeds, queries), of what each query has, (queries,)."""

    hits: Floats
    of: Floats

    @staticmethod
    def of_seeds(hits: list[Floats], of: Floats) -> "Share":
        return Share(np.stack(hits), of)

    @property
    def value(self) -> float:
        whole = self.of.sum()
        return float(self.hits.mean(axis=0).sum() / whole) if whole else 0.0


def share_interval(share: Share, seed: int) -> Interval:
    chance = np.random.default_rng(seed)
    drawn = _drawn(share, _queries(chance, len(share.of)), chance)
    return _interval(share.value, drawn)


def ratio_interval(ours: Share, theirs: Share, seed: int) -> Interval | None:
    """Of ours / theirs, on the same queries; None where theirs is nothing.

    A draw in which theirs is nothing has no ratio; it counts as infinitely high.
    """
    if not theirs.value:
        return None
    chance = np.random.default_rng(seed)
    queries = _queries(chance, len(ours.of))
    mine, their = _drawn(ours, queries, chance), _drawn(theirs, queries, chance)
    ratios = np.divide(mine, their, out=np.full(DRAWS, np.inf), where=their > 0)
    return _interval(ours.value / theirs.value, ratios)


def _queries(chance: np.random.Generator, queries: int) -> Floats:
    """How often each draw has each query; (draws, queries)."""
    even = np.full(queries, 1 / queries)
    return chance.multinomial(queries, even, DRAWS).astype(float)


def _drawn(share: Share, queries: Floats, chance: np.random.Generator) -> Floats:
    """The share in each draw."""
    seeds = len(share.hits)
    picked = chance.multinomial(seeds, np.full(seeds, 1 / seeds), DRAWS) / seeds
    found = ((queries @ share.hits.T) * picked).sum(axis=1)
    whole = queries @ share.of
    drawn: Floats = np.divide(found, whole, out=np.zeros(DRAWS), where=whole > 0)
    return drawn


def _interval(value: float, drawn: Floats) -> Interval:
    # Without interpolation, which has no answer between a number and infinity.
    low, high = np.percentile(drawn, [_LOW, _HIGH], method="nearest")
    return Interval(round(value, 4), round(float(low), 4), round(float(high), 4))
