"""How much the presence of one category says about another's, in bits.

A category is a Bernoulli variable: an item has a word of it, or not. What is lost when two share a
position is what either leaves open about the other:

    IL(X, Y) = 1/2 [H(X|Y) + H(Y|X)]

Source: OneRetrieval (arXiv 2606.13533), section 3.

How well identifiers tell items apart, whichever codebook they come from.

Source of CUR and ICR: OneRetrieval (arXiv 2606.13533), section 3.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from math import log2
from statistics import fmean

import msgspec
import numpy as np
from numpy.typing import NDArray


def entropy(shares: Iterable[float]) -> float:
    """The entropy of a distribution, in bits."""
    return -sum(share * log2(share) for share in shares if share > 0) + 0.0


@dataclass(frozen=True, slots=True)
class Presence:
    """How many of `items` have words of both of two categories; of one, on the diagonal."""

    items: int
    together: tuple[tuple[int, ...], ...]

    def rate(self, x: int) -> float:
        """The share of items that have a word of a category."""
        return self.together[x][x] / self.items

    def entropy(self, x: int) -> float:
        """H(X)."""
        return entropy((self.rate(x), 1 - self.rate(x)))

    def conditional_entropy(self, x: int, y: int) -> float:
        """H(X|Y): what knowing Y leaves open about X."""
        only_x = self.together[x][x] - self.together[x][y]
        only_y = self.together[y][y] - self.together[x][y]
        neither = self.items - self.together[x][y] - only_x - only_y
        joint = entropy(n / self.items for n in (self.together[x][y], only_x, only_y, neither))
        # Rounding may leave less than nothing.
        return max(0.0, joint - self.entropy(y))

    def loss(self, x: int, y: int) -> float:
        """IL(X, Y), the information loss of a pair."""
        return (self.conditional_entropy(x, y) + self.conditional_entropy(y, x)) / 2

    def mean_loss(self, left: Sequence[int], right: Sequence[int]) -> float:
        """The mean information loss over the pairs between two groups."""
        return fmean(self.loss(x, y) for x, y in product(left, right))


COVERED_POSITIONS = 3
_PERCENTILE = 0.99


class Quality(msgspec.Struct, frozen=True):
    """Measures of the identifiers of a catalog's items."""

    coverage: float  # share of items with at least three positions that are not empty
    icr: float  # share of items whose identifier is theirs alone
    cur: tuple[float, ...]  # of each position: codes used / capacity
    bits_per_item: float  # entropy of the identifiers
    items_per_identifier_p99: int  # 99 of 100 identifiers have at most so many items


def measure(
    codes: NDArray[np.integer], capacities: Sequence[int], *, has_empty: bool = True
) -> Quality:
    """Measure identifiers, a row an item; `has_empty`: code 0 says nothing."""
    items = len(codes)
    if not items:
        return Quality(0.0, 0.0, (0.0,) * len(capacities), 0.0, 0)
    _, shared = np.unique(codes, axis=0, return_counts=True)
    filled = (codes > 0).sum(axis=1) if has_empty else np.full(items, codes.shape[1])
    used = [len(np.unique(codes[:, position])) for position in range(codes.shape[1])]
    ordered = np.sort(shared)
    return Quality(
        coverage=round(float((filled >= COVERED_POSITIONS).mean()), 4),
        icr=round(float((shared == 1).sum() / items), 4),
        cur=tuple(round(n / capacity, 4) for n, capacity in zip(used, capacities, strict=True)),
        bits_per_item=round(entropy((shared / items).tolist()), 4),
        # The nearest rank.
        items_per_identifier_p99=int(ordered[int(np.ceil(_PERCENTILE * len(ordered))) - 1]),
    )
