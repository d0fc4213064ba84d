"""How much the presence of one category says about another's, in bits.

A category is a Bernoulli variable: an item has a word of it, or not. What is lost when two share a
position is what either leaves open about the other:

    IL(X, Y) = 1/2 [H(X|Y) + H(Y|X)]

Source: OneRetrieval (arXiv 2606.13533), section 3.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from math import log2
from statistics import fmean


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
