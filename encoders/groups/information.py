"""Information theory of categories and identifiers.

A category is a Bernoulli variable: an item has a word of it, or not. When two categories share a
position, what is lost is what each leaves open about the other, in bits:

    IL(X, Y) = 1/2 [H(X|Y) + H(Y|X)]

Source of IL, CUR and ICR: OneRetrieval (arXiv 2606.13533), section 3.
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
    """Return the entropy of a distribution, in bits."""
    return -sum(share * log2(share) for share in shares if share > 0) + 0.0


@dataclass(frozen=True, slots=True)
class CategoryCooccurrence:
    """`counts[x][y]`: how many of `items` have words of both categories; the diagonal, of one."""

    items: int
    counts: tuple[tuple[int, ...], ...]

    def rate(self, x: int) -> float:
        """Return the share of items that have a word of a category."""
        return self.counts[x][x] / self.items

    def entropy(self, x: int) -> float:
        """H(X)."""
        return entropy((self.rate(x), 1 - self.rate(x)))

    def conditional_entropy(self, x: int, y: int) -> float:
        """H(X|Y): what Y leaves open about X."""
        only_x = self.counts[x][x] - self.counts[x][y]
        only_y = self.counts[y][y] - self.counts[x][y]
        neither = self.items - self.counts[x][y] - only_x - only_y
        joint = entropy(n / self.items for n in (self.counts[x][y], only_x, only_y, neither))
        # Rounding may make it negative.
        return max(0.0, joint - self.entropy(y))

    def loss(self, x: int, y: int) -> float:
        """IL(X, Y), the information loss of a pair."""
        return (self.conditional_entropy(x, y) + self.conditional_entropy(y, x)) / 2

    def mean_loss(self, left: Sequence[int], right: Sequence[int]) -> float:
        """The mean information loss over the pairs between two groups."""
        return fmean(self.loss(x, y) for x, y in product(left, right))


COVERED_POSITIONS = 3
_PERCENTILE = 0.99


class IdentifierQuality(msgspec.Struct, frozen=True):
    """How well the identifiers of a catalog's items distinguish them."""

    coverage: float  # share of items with at least three positions that are not empty
    icr: float  # share of items that share their identifier with no other item
    cur: tuple[float, ...]  # of each position: codes used / capacity
    bits_per_item: float  # entropy of the identifiers
    items_per_identifier_p99: int  # 99 of 100 identifiers have at most so many items


def measure_identifiers(
    codes: NDArray[np.integer], capacities: Sequence[int], *, has_empty: bool = True
) -> IdentifierQuality:
    """Measure identifiers, one row per item; `has_empty`: code 0 is the empty slot."""
    items = len(codes)
    if not items:
        return IdentifierQuality(0.0, 0.0, (0.0,) * len(capacities), 0.0, 0)
    _, shared = np.unique(codes, axis=0, return_counts=True)
    filled = (codes > 0).sum(axis=1) if has_empty else np.full(items, codes.shape[1])
    used = [len(np.unique(codes[:, position])) for position in range(codes.shape[1])]
    ordered = np.sort(shared)
    return IdentifierQuality(
        coverage=round(float((filled >= COVERED_POSITIONS).mean()), 4),
        icr=round(float((shared == 1).sum() / items), 4),
        cur=tuple(round(n / capacity, 4) for n, capacity in zip(used, capacities, strict=True)),
        bits_per_item=round(entropy((shared / items).tolist()), 4),
        # By the nearest-rank method.
        items_per_identifier_p99=int(ordered[int(np.ceil(_PERCENTILE * len(ordered))) - 1]),
    )
