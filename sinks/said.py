"""What the items of one view say: which items say a word, and what share of each slot's items does.

An item is known by its number: the ordinals of all shards laid end to end.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.sinks.ranges import Indices
from kae.sinks.sayings import Captured, keys_of

Floats = NDArray[np.float32]

# A word that an item's attributes alone have counts as so much of one in its text.
ATTRIBUTE_TIMES = 0.5


@dataclass(frozen=True, slots=True)
class Mentions:
    """The numbers of the items that say a word, rising, and how often each does."""

    items: Indices
    times: Floats

    def times_of(self, items: Indices) -> Floats:
        """How often each of some items says it."""
        if not len(self.items):
            return np.zeros(len(items), np.float32)
        places = np.minimum(np.searchsorted(self.items, items), len(self.items) - 1)
        return np.where(self.items[places] == items, self.times[places], np.float32(0))


class Said:
    """The sayings of every shard at one version."""

    def __init__(self, shards: Iterable[Captured]) -> None:
        self._shards = tuple(shards)
        self._first = np.cumsum([0, *(len(captured.lengths) for captured in self._shards)])
        counts = [captured.items_of_slot for captured in self._shards]
        self._items_of_slot = [_total([count[p] for count in counts]) for p in range(POSITIONS)]
        items = sum(captured.items for captured in self._shards)
        tokens = sum(captured.tokens for captured in self._shards)
        self.mean_length = tokens / items if items else 0.0

    def numbers(self, shards: NDArray[np.uint16], ordinals: NDArray[np.uint32]) -> Indices:
        return self._first[shards] + ordinals.astype(np.int64)

    def lengths(self, items: Indices) -> Floats:
        """In tokens."""
        shards = np.searchsorted(self._first, items, "right") - 1
        lengths = np.zeros(len(items), np.float32)
        for shard in np.unique(shards).tolist():
            mine = shards == shard
            lengths[mine] = self._shards[shard].lengths[items[mine] - self._first[shard]]
        return lengths

    def saying(self, spellings: Sequence[str]) -> Mentions:
        """The items that say all of these tokens, as often as the one that they say least."""
        first, *others = map(self._saying_one, spellings)
        items, times = first.items, first.times
        for other in others:
            its = other.times_of(items)
            items, times = items[its > 0], np.minimum(times, its)[its > 0]
        return Mentions(items, times)

    def _saying_one(self, spelling: str) -> Mentions:
        in_text, alone = keys_of(spelling)
        items, times = np.unique(self._having(in_text), return_counts=True)
        others = self._having(alone)
        # No item has both.
        items = np.concatenate([items, others])
        weights = np.concatenate([times, np.full(len(others), ATTRIBUTE_TIMES)])
        order = np.argsort(items)
        return Mentions(items[order], weights[order].astype(np.float32))

    def _having(self, key: int) -> Indices:
        return np.concatenate(
            [
                captured.saying(key) + first
                for captured, first in zip(self._shards, self._first[:-1].tolist(), strict=True)
            ],
            dtype=np.int64,
        )

    def shares(self, mentions: Mentions) -> list[Floats]:
        """For each position and slot the share of its items that say a word; nothing says empty."""
        shares = []
        slots = np.concatenate(list(self._slots(mentions.items)), 1)
        for mentioned, items in zip(slots, self._items_of_slot, strict=True):
            share = np.bincount(mentioned, minlength=len(items)) / np.maximum(items, 1)
            share[:1] = 0
            shares.append(share.astype(np.float32))
        return shares

    def _slots(self, items: Indices) -> Iterator[NDArray[np.uint16]]:
        ends = np.searchsorted(items, self._first)
        for captured, first, start, end in zip(
            self._shards, self._first[:-1], ends[:-1], ends[1:], strict=True
        ):
            yield captured.identifiers[:, items[start:end] - first]


def _total(counts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    total = np.zeros(max(map(len, counts), default=0), np.int64)
    for count in counts:
        total[: len(count)] += count
    return total
