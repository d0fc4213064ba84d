"""What a stored item says: its text and the words of its attributes, decoded without the rest.

A segment of postings: word -> the items that have it, for items that were read together.

Words are known by a 64-bit key. A segment is built once and its arrays never change; of its items,
those that a newer segment has, or that are gone, are no longer `covered`.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap


class AttributeWord(msgspec.Struct, frozen=True, array_like=True):
    """The leading fields of an Attribute."""

    category: int
    word: str


class ItemWords(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A PutItem, of which only the words are decoded."""

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
    """A DropItem, which says nothing."""


decode_stored = msgspec.msgpack.Decoder(ItemWords | DroppedItem).decode
decode_words = msgspec.msgpack.Decoder(ItemWords).decode
PostingKeys = NDArray[np.int64]
Ordinals = NDArray[np.uint32]


@dataclass(slots=True)
class Segment:
    """Postings as three arrays: `ordinals[starts[n]:starts[n + 1]]` have the word `words[n]`.

    Shapes: words (k,) rising; starts (k + 1,); ordinals (pairs,). `items` is how many it covered
    when it was built.
    """

    words: PostingKeys
    starts: PostingKeys
    ordinals: Ordinals
    covered: BitMap
    items: int

    @staticmethod
    def build(words: PostingKeys, ordinals: Ordinals, covered: BitMap) -> "Segment":
        """From one (word, ordinal) pair a column."""
        order = np.argsort(words, kind="stable")
        words = words[order]
        begins = np.ones(len(words), np.bool_)
        begins[1:] = words[1:] != words[:-1]
        starts = np.flatnonzero(begins)
        ends = np.append(starts, len(words))
        return Segment(words[starts], ends, ordinals[order], covered, len(covered))

    @staticmethod
    def merged(segments: Sequence["Segment"]) -> "Segment":
        """One segment of what several cover."""
        words, ordinals = zip(*(segment._pairs() for segment in segments), strict=True)
        covered = BitMap.union(*(segment.covered for segment in segments))
        # Each is in order already, which the sort of `build` makes use of.
        return Segment.build(np.concatenate(words), np.concatenate(ordinals), covered)

    @property
    def pairs(self) -> int:
        return len(self.ordinals)

    @property
    def is_sparse(self) -> bool:
        """Whether most of its items have newer postings, or are gone."""
        return 2 * len(self.covered) < self.items

    @property
    def bytes(self) -> int:
        """The memory of its arrays."""
        return self.words.nbytes + self.starts.nbytes + self.ordinals.nbytes

    def having(self, word: int) -> BitMap:
        """The covered items that have the word of this key."""
        # From an array of C integers a bitmap is made 30 times as fast as from numpy's.
        return BitMap(array("I", self.at(word).tobytes())) & self.covered

    def at(self, word: int) -> Ordinals:
        """The ordinals of the pairs with the word of this key, covered or not."""
        place = int(np.searchsorted(self.words, word))
        if place == len(self.words) or self.words[place] != word:
            return self.ordinals[:0]
        return self.ordinals[self.starts[place] : self.starts[place + 1]]

    def _pairs(self) -> tuple[PostingKeys, Ordinals]:
        """The pairs of covered items, by word."""
        words = np.repeat(self.words, np.diff(self.starts))
        if not len(self.ordinals):
            return words, self.ordinals
        first = int(self.ordinals.min())
        kept = np.zeros(int(self.ordinals.max()) - first + 1, np.bool_)
        covered = np.asarray(self.covered.to_array()).astype(np.int64) - first
        kept[covered[(covered >= 0) & (covered < len(kept))]] = True
        chosen = kept[self.ordinals.astype(np.int64) - first]
        return words[chosen], self.ordinals[chosen]
