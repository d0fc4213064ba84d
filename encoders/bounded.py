"""What cannot grow for ever: a cache that is emptied, and counts whose rarest are forgotten."""

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")
ENTRIES = 65_536


class Bounded(dict[K, V]):
    """A dictionary of at most ENTRIES entries; `make`, if given, makes those that are missing.

    Looking up costs what a dictionary's does, which a least-recently-used cache's does not.
    """

    def __init__(self, make: Callable[[K], V] | None = None) -> None:
        super().__init__()
        self._make = make

    def __setitem__(self, key: K, value: V) -> None:
        if len(self) >= ENTRIES:
            self.clear()
        super().__setitem__(key, value)

    def __missing__(self, key: K) -> V:
        if self._make is None:
            raise KeyError(key)
        self[key] = value = self._make(key)
        return value


class BoundedCounts(Counter[K]):
    """Counts of at most `most` keys, once the rarest are forgotten.

    A count is never too high, and at most `lost` too low: nobody is forgotten who was counted more
    often than that.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.lost = 0

    def forget_the_rarest(self) -> list[K]:
        """Above the bound, keep at most half of it, so that forgetting is rare; who was forgotten.

        Source: lossy counting (Manku and Motwani, VLDB 2002), by size instead of by time.
        """
        forgotten: list[K] = []
        if len(self) <= self.most:
            return forgotten
        floor = 0
        while len(self) > self.most // 2:
            floor = max(1, 2 * floor)
            rare = [key for key, count in self.items() if count <= floor]
            for key in rare:
                del self[key]
            forgotten += rare
        self.lost += floor
        return forgotten
