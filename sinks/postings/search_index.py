"""The words of a shard's live items with their counts, for a replica's search.

An index belongs to the thread that folds the shard's log. That thread starts a refresh, which may
run on another; the snapshot that comes of it never changes, and a view keeps it.

Keys are the spellings of a text's words, each as often as it stands there, and those of attributes
that the text lacks, under a key of their own: 4 bytes for each, 16 more for a word.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from kae.encoders.bounded import BoundedCache
from kae.encoders.categories import POSITIONS
from kae.encoders.text.spelling import token_spelling_key
from kae.sinks.postings.inverted_index import InvertedIndex, ItemWords
from kae.sinks.postings.segment import Ordinals, Segment, as_array
from kae.sinks.store.store import ShardStore
from kae.sinks.trie.shard_table import ShardTable

SpellingKeys = tuple[int, int]


def spelling_keys(spelling: str) -> SpellingKeys:
    """The two keys of a spelling: of texts, and of attributes whose item's text lacks it."""
    return hash(spelling), hash((spelling,))


@dataclass(frozen=True, slots=True)
class LiveSegment:
    """A segment with the items that were live in it at a refresh.

    `live` is by ordinal; None where all of the segment's items are.
    """

    segment: Segment
    live: NDArray[np.bool_] | None

    def postings(self, key: int) -> Ordinals:
        """The ordinals of the live items that have a key, each as often as it has it."""
        found = self.segment.postings(key)
        return found if self.live is None else found[self.live[found]]


@dataclass(frozen=True, slots=True)
class IndexSnapshot:
    """What one refresh found in a shard.

    Shapes: identifiers (6, room) and lengths (room,) by ordinal, a length in words and 0 where no
    item lives; items_of_slot, one array (slots,) a position. `items` and `words` are totals.
    """

    segments: tuple[LiveSegment, ...]
    identifiers: NDArray[np.uint16]
    lengths: NDArray[np.uint32]
    items_of_slot: tuple[NDArray[np.int64], ...]
    items: int
    words: int

    def postings(self, key: int) -> Ordinals:
        """The ordinals of the live items that have a key, each as often as it has it."""
        found = [segment.postings(key) for segment in self.segments]
        return np.concatenate(found) if found else np.zeros(0, np.uint32)


@dataclass(frozen=True, slots=True)
class _Refreshed:
    """The items of a refresh, and their columns of the table when it was started."""

    changed: BitMap
    identifiers: NDArray[np.uint16]
    live: NDArray[np.bool_]
    room: int


class SearchIndex(InvertedIndex):
    """Snapshots of one shard's words, lengths and slots."""

    def __init__(self, store: ShardStore, table: ShardTable) -> None:
        super().__init__(store)
        self._table = table
        self._refreshing = BitMap()
        self._live = BitMap()
        self._lengths = np.zeros(0, np.uint32)
        self._keys_of_token = BoundedCache[str, SpellingKeys](
            lambda t: spelling_keys(token_spelling_key(t))
        )
        self._keys_of_word = BoundedCache[str, list[SpellingKeys]](
            lambda word: [self._keys_of_token[token] for token in word.split()]
        )
        none = table.identifiers[:, :0]
        self._snapshot = IndexSnapshot((), none, self._lengths, _slot_counts(none), 0, 0)

    @property
    def stale(self) -> BitMap:
        """The ordinals of the items that may differ from what was published last."""
        return self._pending | self._refreshing

    def publish(self) -> IndexSnapshot:
        """The newest snapshot; only called while no refresh runs."""
        self._refreshing = BitMap()
        return self._snapshot

    def start_refresh(self) -> Callable[[], None]:
        """Take the pending items, and return the call that indexes them.

        The call may run on another thread, one of a shard at a time. It reads the store as it is by
        then: what has changed again in the meantime is pending again.
        """
        changed, self._pending = self._pending, BitMap()
        self._refreshing |= changed
        ordinals, table = as_array(changed), self._table
        taken = _Refreshed(
            changed, table.identifiers[:, ordinals], table.live[ordinals], len(table.live)
        )
        return lambda: self._refresh(taken)

    def refresh(self) -> IndexSnapshot:
        """Index what is pending at once; the same object if nothing is."""
        if self._pending:
            self.start_refresh()()
        return self._snapshot

    def _refresh(self, taken: _Refreshed) -> None:
        self._lengths = np.pad(self._lengths, (0, taken.room - len(self._lengths)))
        self._lengths[as_array(taken.changed)] = 0
        ordinals, lengths = self._write_segment(taken.changed)
        self._lengths[ordinals] = lengths
        self._merge()
        identifiers, items_of_slot = self._count_again(taken)
        self._snapshot = IndexSnapshot(
            tuple(LiveSegment(segment, segment.live_mask()) for segment in self._segments),
            identifiers,
            self._lengths.copy(),
            items_of_slot,
            len(self._live),
            int(self._lengths.sum()),
        )

    def _keys(self, item: ItemWords) -> Collection[int]:
        of_token, of_word = self._keys_of_token, self._keys_of_word
        keys = [of_token[token][0] for token in item.text.split()]
        attributes = {one for found in item.attributes for one in of_word[found.word]}
        text = set(keys)
        return [*keys, *(alone for in_text, alone in attributes if in_text not in text)]

    def _count_again(
        self, taken: _Refreshed
    ) -> tuple[NDArray[np.uint16], tuple[NDArray[np.int64], ...]]:
        """Identifiers and the items of each slot, from the former ones and what has changed."""
        before = self._snapshot
        identifiers = np.pad(
            before.identifiers, ((0, 0), (0, taken.room - len(before.identifiers[0])))
        )
        changed = as_array(taken.changed)
        removed = _slot_counts(identifiers[:, as_array(taken.changed & self._live)])
        identifiers[:, changed] = taken.identifiers
        self._live -= taken.changed
        self._live |= BitMap(changed[taken.live].astype(np.uint32))
        added = _slot_counts(taken.identifiers[:, taken.live])
        counts = zip(before.items_of_slot, added, removed, strict=True)
        return identifiers, tuple(_sum(_sum(count, more), -less) for count, more, less in counts)


def _slot_counts(identifiers: NDArray[np.uint16]) -> tuple[NDArray[np.int64], ...]:
    """How often each slot of each position occurs in some identifiers."""
    return tuple(np.bincount(identifiers[position]) for position in range(POSITIONS))


def _sum(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sum of two arrays, the shorter one continued with 0."""
    size = max(len(one), len(other))
    return np.pad(one, (0, size - len(one))) + np.pad(other, (0, size - len(other)))
