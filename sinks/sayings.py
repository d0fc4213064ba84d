"""Which items say a word: the words of the items' own texts and attributes, counted.

A shard's `Sayings` are written by the thread that folds its log; `capture` gives what a view keeps,
which never changes. Words are known by the 64-bit keys of their spellings and lie in segments, as
those that selectors are resolved by (postings.py): 4 bytes for each word of an item, 16 more for a
word. They are in memory alone.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from kae.encoders.bounded import Bounded
from kae.encoders.spelling import token_spelling
from kae.sinks.edits import DropItem, PutItem, ShardEdit
from kae.sinks.segment import Ordinals, Segment

_FIRST_ROOM = 1024


def keys_of(spelling: str) -> tuple[int, int]:
    """The keys of a token's spelling: said by a text, and by attributes that the text lacks."""
    return hash(spelling), hash((spelling,))


@dataclass(frozen=True, slots=True)
class Kept:
    """A segment as a view keeps it; `covered` is None where all of its items still count."""

    segment: Segment
    covered: NDArray[np.bool_] | None  # by ordinal

    def saying(self, key: int) -> Ordinals:
        """The ordinals of the items that say the word, as often as they say it."""
        found = self.segment.at(key)
        return found if self.covered is None else found[self.covered[found]]


@dataclass(frozen=True, slots=True)
class Captured:
    """The sayings of one shard at one version; `lengths` are in tokens, by ordinal."""

    kept: tuple[Kept, ...]
    lengths: NDArray[np.uint32]


class Sayings:
    """The words of one shard's live items."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._noted: dict[int, PutItem] = {}
        self._lengths = np.zeros(_FIRST_ROOM, np.uint32)
        self._keys = Bounded[str, tuple[int, int]](lambda token: keys_of(token_spelling(token)))
        self._keys_of_words = Bounded[str, list[tuple[int, int]]](
            lambda word: [self._keys[token] for token in word.split()]
        )
        self._captured: Captured | None = None

    def note(self, edits: Sequence[ShardEdit]) -> None:
        """Take over the items of one accepted delta."""
        changed = BitMap()
        for edit in edits:
            if isinstance(edit, PutItem):
                self._noted[edit.ordinal] = edit
                changed.add(edit.ordinal)
            elif isinstance(edit, DropItem) and edit.ordinal >= 0:
                self._noted.pop(edit.ordinal, None)
                changed.add(edit.ordinal)
        if changed:
            self._captured = None
            for segment in self._segments:
                segment.covered -= changed

    def capture(self) -> Captured:
        """What is known now; the same object until something changes."""
        if self._captured is None:
            self._index()
            self._merge()
            kept = tuple(Kept(segment, _covered(segment)) for segment in self._segments)
            self._captured = Captured(kept, self._lengths.copy())
        return self._captured

    def _index(self) -> None:
        if not self._noted:
            return
        self._make_room(max(self._noted) + 1)
        words, counts = array("q"), array("I")
        for item in self._noted.values():
            keys = self._words(item)
            words.extend(keys)
            counts.append(len(keys))
        ordinals = np.fromiter(self._noted, np.uint32, len(self._noted))
        lengths = np.frombuffer(counts, np.uint32)
        self._lengths[ordinals] = lengths
        pairs = np.repeat(ordinals, lengths)
        covered = BitMap(self._noted)
        self._segments.append(Segment.build(np.frombuffer(words, np.int64), pairs, covered))
        self._noted = {}

    def _words(self, item: PutItem) -> list[int]:
        """The keys of the text's tokens, and of those that its attributes alone have."""
        keys = self._keys
        said = [keys[token][0] for token in item.text.split()]
        text = set(said)
        of_words = self._keys_of_words
        fields = {one for found in item.attributes for one in of_words[found.word]}
        return [*said, *(alone for in_text, alone in fields if in_text not in text)]

    def _merge(self) -> None:
        """Keep few segments, each at least twice as large as all newer ones."""
        merged: list[Segment] = []
        for segment in self._segments:
            if segment.covered:
                merged.append(Segment.merged([segment]) if segment.is_sparse else segment)
            while len(merged) > 1 and merged[-2].pairs < 2 * merged[-1].pairs:
                merged[-2:] = [Segment.merged(merged[-2:])]
        self._segments = merged

    def _make_room(self, size: int) -> None:
        room = len(self._lengths)
        if size > room:
            self._lengths = np.pad(self._lengths, (0, max(size, 2 * room) - room))


def _covered(segment: Segment) -> NDArray[np.bool_] | None:
    if len(segment.covered) == segment.items:
        return None
    covered = np.zeros(int(segment.ordinals.max()) + 1, np.bool_)
    ordinals: Iterable[int] = segment.covered
    covered[np.fromiter(ordinals, np.int64, len(segment.covered))] = True
    return covered
