"""What the items of one view say: which items say a word, and what share of each slot's items does.

An item is known by its number: its shard above its ordinal's 32 bits. Under load the words of a
shard may be some views older than its paths: an item that came since then says nothing yet.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.sinks.postings.inverted_index import IndexSnapshot, keys_of
from kae.sinks.trie.ranges import Indices

FloatArray = NDArray[np.float32]
Shards = TypeVar("Shards", int, Indices)
# A word that an item's attributes alone have counts as so much of one in its text.
ATTRIBUTE_TIMES = 0.5
ORDINAL_BITS = 32


@dataclass(frozen=True, slots=True)
class Mentions:
    """The numbers of the items that say a word, rising, and how often each does."""

    items: Indices
    times: FloatArray

    def times_of(self, items: Indices) -> FloatArray:
        """How often each of some items says it."""
        if not len(self.items):
            return np.zeros(len(items), np.float32)
        places = np.minimum(np.searchsorted(self.items, items), len(self.items) - 1)
        return np.where(self.items[places] == items, self.times[places], np.float32(0))


class WordStatistics:
    """The sayings of every shard at one version."""

    def __init__(self, shards: Iterable[IndexSnapshot]) -> None:
        self.shards = tuple(shards)

    # Worked out by the first search: most views are never searched.

    @cached_property
    def mean_length(self) -> float:
        """Of an item, in tokens."""
        items = sum(captured.items for captured in self.shards)
        return sum(captured.tokens for captured in self.shards) / items if items else 0.0

    @cached_property
    def _items_of_slot(self) -> list[NDArray[np.int64]]:
        counts = [captured.items_of_slot for captured in self.shards]
        return [_total([count[p] for count in counts]) for p in range(POSITIONS)]

    @staticmethod
    def numbers(shards: NDArray[np.uint16], ordinals: NDArray[np.uint32]) -> Indices:
        return _first(shards.astype(np.int64)) + ordinals.astype(np.int64)

    def lengths(self, items: Indices) -> FloatArray:
        """In tokens."""
        shards = items >> ORDINAL_BITS
        lengths = np.zeros(len(items), np.float32)
        for shard in np.unique(shards).tolist():
            known = self.shards[shard].lengths
            ordinals = items - _first(shard)
            mine = (shards == shard) & (ordinals < len(known))
            lengths[mine] = known[ordinals[mine]]
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
                captured.saying(key) + np.int64(_first(shard))
                for shard, captured in enumerate(self.shards)
            ],
            dtype=np.int64,
        )

    def shares(self, mentions: Mentions) -> list[FloatArray]:
        """For each position and slot the share of its items that say a word; nothing says empty."""
        shares = []
        slots = np.concatenate(list(self._slots(mentions.items)), 1)
        for mentioned, items in zip(slots, self._items_of_slot, strict=True):
            share = np.bincount(mentioned, minlength=len(items)) / np.maximum(items, 1)
            share[:1] = 0
            shares.append(share.astype(np.float32))
        return shares

    def _slots(self, items: Indices) -> Iterator[NDArray[np.uint16]]:
        ends = np.searchsorted(items, [_first(shard) for shard in range(len(self.shards) + 1)])
        for shard, captured in enumerate(self.shards):
            mine = items[ends[shard] : ends[shard + 1]]
            yield captured.identifiers[:, mine - _first(shard)]


def _first(shard: Shards) -> Shards:
    """The number of a shard's ordinal 0."""
    return shard << ORDINAL_BITS


def _total(counts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    total = np.zeros(max(map(len, counts), default=0), np.int64)
    for count in counts:
        total[: len(count)] += count
    return total
