"""The inverted index of one shard's items: word key -> ordinals, in memory alone.

It works as Lucene's does. `note` marks the items of a delta as pending, which costs the fold next
to nothing. A refresh reads the pending items from the store and writes their postings as a new
segment; in older segments they are no longer live. Merging keeps the segments few and drops what is
deleted, so a posting takes 4 bytes and a word 16 more.

A word is known by the 64-bit hash of its spelling, so nothing here grows with the words that were
ever seen. That a word that is looked up shares its key with another of ten million words has a
probability of 10^-12; the answer would then hold the items of both.
"""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Collection, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from kae.sinks.log.edits import DropItem, ItemHead, ShardEdit
from kae.sinks.postings.segment import Ordinals, Segment
from kae.sinks.store.store import ShardStore

# Rows of one read of the store, during which other threads wait.
READ_ROWS = 128
_ITEM_EDITS = (ItemHead, DropItem)


class AttributeWord(msgspec.Struct, frozen=True, array_like=True):
    """The leading fields of an Attribute."""

    category: int
    word: str


class ItemWords(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A PutItem of which only ordinal, text and attributes are decoded."""

    id: msgspec.Raw
    ordinal: int
    revision: msgspec.Raw
    content: msgspec.Raw
    identifier: msgspec.Raw
    popularity: msgspec.Raw
    bindings: msgspec.Raw
    title: msgspec.Raw
    text: str
    attributes: tuple[AttributeWord, ...]


class DroppedItem(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A DropItem, which has no words."""


decode_words = msgspec.msgpack.Decoder(ItemWords).decode
_decode_row = msgspec.msgpack.Decoder(ItemWords | DroppedItem).decode


class InvertedIndex(ABC):
    """Pending items and segments; a subclass says which keys an item has, and answers."""

    def __init__(self, store: ShardStore) -> None:
        self._store = store
        self._segments: list[Segment] = []
        self._pending = BitMap()

    def note(self, edits: Sequence[ShardEdit]) -> None:
        """Mark the items of applied edits as pending."""
        self._pending.update(
            [edit.ordinal for edit in edits if isinstance(edit, _ITEM_EDITS) and edit.ordinal >= 0]
        )

    def note_all(self, ordinals: BitMap) -> None:
        """Mark items that the store already holds as pending; ordinals without an item are fine."""
        self._pending |= ordinals

    @property
    def pending(self) -> int:
        """The number of items that wait for a refresh."""
        return len(self._pending)

    @property
    def bytes(self) -> int:
        """The memory of the postings."""
        return sum(segment.bytes for segment in self._segments)

    @abstractmethod
    def _keys(self, item: ItemWords) -> Collection[int]:
        """The keys of an item's words; a key stands as often as it counts."""

    def _write_segment(self, changed: BitMap) -> tuple[Ordinals, NDArray[np.uint32]]:
        """Index items as the store has them now, instead of their former postings.

        Returns the ordinals of those that are live, rising, and the number of keys of each.
        """
        for segment in self._segments:
            segment.live -= changed
        keys, ordinals, lengths = array("q"), array("I"), array("I")
        for first in range(0, len(changed), READ_ROWS):
            for row in self._store.rows_at(changed[first : first + READ_ROWS]):
                item = _decode_row(row)
                # Dropped during this refresh, and perhaps put again under another ordinal: the fold
                # has noted it again.
                if isinstance(item, DroppedItem) or item.ordinal not in changed:
                    continue
                found = self._keys(item)
                keys.extend(found)
                ordinals.append(item.ordinal)
                lengths.append(len(found))
        places, counts = np.frombuffer(ordinals, np.uint32), np.frombuffer(lengths, np.uint32)
        if ordinals:
            pairs = np.repeat(places, counts)
            segment = Segment.build(np.frombuffer(keys, np.int64), pairs, BitMap(ordinals))
            self._segments.append(segment)
        return places, counts

    def _merge(self) -> None:
        """Keep few segments: each at least twice as large as the next, and none mostly deleted."""
        merged: list[Segment] = []
        for segment in self._segments:
            if segment.live:
                merged.append(Segment.merged([segment]) if segment.is_sparse else segment)
            while len(merged) > 1 and merged[-2].size < 2 * merged[-1].size:
                merged[-2:] = [Segment.merged(merged[-2:])]
        self._segments = merged
