"""A cache that cannot grow for ever: a dictionary that is emptied when it is full."""

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
