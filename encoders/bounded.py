"""Dictionaries of bounded size: a cache that empties when full, and counts of the frequent keys."""

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")
MAX_ENTRIES = 65_536


class BoundedCache(dict[K, V]):
    """A dictionary of at most ENTRIES entries; `make`, if given, makes those that are missing.

    Looking up costs what a dictionary's does, which a least-recently-used cache's does not.
    """

    def __init__(self, make: Callable[[K], V] | None = None) -> None:
        super().__init__()
        self._make = make

    def __setitem__(self, key: K, value: V) -> None:
        if len(self) >= MAX_ENTRIES:
            self.clear()
        super().__setitem__(key, value)

    def __missing__(self, key: K) -> V:
        if self._make is None:
            raise KeyError(key)
        self[key] = value = self._make(key)
        return value


class BoundedCounts(Counter[K]):
    """Counts that `drop_rarest` keeps to at most `max_keys` keys.

    A count is never too high and at most `max_undercount` too low; no key with a higher count than
    that is ever dropped.
    """

    def __init__(self, max_keys: int) -> None:
        super().__init__()
        self.max_keys = max_keys
        self.max_undercount = 0

    def drop_rarest(self) -> list[K]:
        """Return the keys that were dropped: above the bound, all but at most half of it.

        Keeping only half makes dropping rare.
        Source: lossy counting (Manku and Motwani, VLDB 2002), by size instead of by time.
        """
        dropped: list[K] = []
        if len(self) <= self.max_keys:
            return dropped
        floor = 0
        while len(self) > self.max_keys // 2:
            floor = max(1, 2 * floor)
            rare = [key for key, count in self.items() if count <= floor]
            for key in rare:
                del self[key]
            dropped += rare
        self.max_undercount += floor
        return dropped
