"""Word statistics of one view: postings and lengths for ranking, and each slot's share of a word.

An item is known by its number: the shard above the ordinal's 32 bits. Under load the index of a
shard may be some views behind its paths; an item that came since has no words yet.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.sinks.postings.search_index import IndexSnapshot, spelling_keys
from kae.sinks.trie.sorted_arrays import Indices

FloatArray = NDArray[np.float32]
Shards = TypeVar("Shards", int, Indices)
# The frequency of a word that an item has only in its attributes.
ATTRIBUTE_FREQUENCY = 0.5
ORDINAL_BITS = 32


@dataclass(frozen=True, slots=True)
class TermPostings:
    """The numbers of the items that have a word, rising, and the word's frequency in each."""

    items: Indices
    frequencies: FloatArray

    def frequencies_in(self, items: Indices) -> FloatArray:
        """The frequency in each of some items; 0 where an item lacks the word."""
        if not len(self.items):
            return np.zeros(len(items), np.float32)
        places = np.minimum(np.searchsorted(self.items, items), len(self.items) - 1)
        return np.where(self.items[places] == items, self.frequencies[places], np.float32(0))


class WordStatistics:
    """The search indexes of every shard at one version."""

    def __init__(self, shards: Iterable[IndexSnapshot]) -> None:
        self.shards = tuple(shards)

    # Computed by the first search: most views are never searched.

    @cached_property
    def mean_length(self) -> float:
        """The mean length of an item, in words."""
        items = sum(index.items for index in self.shards)
        return sum(index.words for index in self.shards) / items if items else 0.0

    @cached_property
    def _items_of_slot(self) -> list[NDArray[np.int64]]:
        counts = [index.items_of_slot for index in self.shards]
        return [_total([count[p] for count in counts]) for p in range(POSITIONS)]

    @staticmethod
    def numbers(shards: NDArray[np.uint16], ordinals: NDArray[np.uint32]) -> Indices:
        """The numbers of items that are known by shard and ordinal."""
        return _first_number(shards.astype(np.int64)) + ordinals.astype(np.int64)

    def lengths(self, items: Indices) -> FloatArray:
        """The length of each of some items, in words."""
        shards = items >> ORDINAL_BITS
        lengths = np.zeros(len(items), np.float32)
        for shard in np.unique(shards).tolist():
            known = self.shards[shard].lengths
            ordinals = items - _first_number(shard)
            mine = (shards == shard) & (ordinals < len(known))
            lengths[mine] = known[ordinals[mine]]
        return lengths

    def postings(self, spellings: Sequence[str]) -> TermPostings:
        """The items that have all of some words, with the frequency of the rarest in each."""
        first, *others = map(self._postings_of, spellings)
        items, frequencies = first.items, first.frequencies
        for other in others:
            its = other.frequencies_in(items)
            items, frequencies = items[its > 0], np.minimum(frequencies, its)[its > 0]
        return TermPostings(items, frequencies)

    def _postings_of(self, spelling: str) -> TermPostings:
        in_text, alone = spelling_keys(spelling)
        items, frequencies = np.unique(self._numbers_with(in_text), return_counts=True)
        others = self._numbers_with(alone)
        # No item has both keys.
        items = np.concatenate([items, others])
        weights = np.concatenate([frequencies, np.full(len(others), ATTRIBUTE_FREQUENCY)])
        order = np.argsort(items)
        return TermPostings(items[order], weights[order].astype(np.float32))

    def _numbers_with(self, key: int) -> Indices:
        return np.concatenate(
            [
                index.postings(key) + np.int64(_first_number(shard))
                for shard, index in enumerate(self.shards)
            ],
            dtype=np.int64,
        )

    def slot_shares(self, postings: TermPostings) -> list[FloatArray]:
        """For each position and slot the share of its items that have a word.

        The empty slot has a share of 0.
        """
        shares = []
        slots = np.concatenate(list(self._slots(postings.items)), 1)
        for with_word, items in zip(slots, self._items_of_slot, strict=True):
            share = np.bincount(with_word, minlength=len(items)) / np.maximum(items, 1)
            share[:1] = 0
            shares.append(share.astype(np.float32))
        return shares

    def _slots(self, items: Indices) -> Iterator[NDArray[np.uint16]]:
        """The identifiers (6, n) of rising items, a shard each."""
        firsts = [_first_number(shard) for shard in range(len(self.shards) + 1)]
        ends = np.searchsorted(items, firsts)
        for shard, index in enumerate(self.shards):
            mine = items[ends[shard] : ends[shard + 1]]
            yield index.identifiers[:, mine - _first_number(shard)]


def _first_number(shard: Shards) -> Shards:
    """The number of a shard's ordinal 0."""
    return shard << ORDINAL_BITS


def _total(counts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    total = np.zeros(max(map(len, counts), default=0), np.int64)
    for count in counts:
        total[: len(count)] += count
    return total
