"""Which items say a word: the words of the items' own texts and attributes, counted.

A shard's `Sayings` belong to the thread that folds its log, which notes what each delta changed.
`hear` takes that up, and what is captured of it, on any thread, is what a view keeps and never
changes. Words are
known by the 64-bit keys of their spellings and lie in segments, as those that resolve selectors do
(postings.py): 4 bytes for each word of an item, 16 more for a word. They are in memory alone.
"""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from kae.encoders.bounded import Bounded
from kae.encoders.categories import POSITIONS
from kae.encoders.text.spelling import token_spelling
from kae.sinks.log.edits import DropItem, ItemHead, ShardEdit
from kae.sinks.postings.segment import DroppedItem, ItemWords, Ordinals, Segment, decode_stored
from kae.sinks.store.store import ShardStore
from kae.sinks.trie.shard_table import ShardTable

# Read from the store at once, which keeps other threads waiting.
CHUNK = 128
WordKey = tuple[int, int]


def keys_of(spelling: str) -> WordKey:
    """The keys of a token's spelling: said by a text, and by attributes that the text lacks."""
    return hash(spelling), hash((spelling,))


@dataclass(frozen=True, slots=True)
class LiveSegment:
    """A segment as a view keeps it; `covered` is None where all of its items still count."""

    segment: Segment
    covered: NDArray[np.bool_] | None  # by ordinal

    def saying(self, key: int) -> Ordinals:
        """The ordinals of the items that have the key, as often as they have it."""
        found = self.segment.at(key)
        return found if self.covered is None else found[self.covered[found]]


@dataclass(frozen=True, slots=True)
class IndexSnapshot:
    """The sayings of one shard at one version, by ordinal.

    Shapes: identifiers (6, room); lengths (room,), in tokens, 0 where nothing lives; items_of_slot,
    a position each, (slots,). `items` and `tokens` are how many there are in all.
    """

    kept: tuple[LiveSegment, ...]
    identifiers: NDArray[np.uint16]
    lengths: NDArray[np.uint32]
    items_of_slot: tuple[NDArray[np.int64], ...]
    items: int
    tokens: int

    def saying(self, key: int) -> Ordinals:
        """The ordinals of the live items that have a key, as often as they have it."""
        found = [kept.saying(key) for kept in self.kept]
        return np.concatenate(found) if found else np.zeros(0, np.uint32)


@dataclass(frozen=True, slots=True)
class _Taken:
    """Items that have changed, as the table had them: columns in the order of their ordinals."""

    changed: BitMap
    identifiers: NDArray[np.uint16]
    live: NDArray[np.bool_]
    room: int


class InvertedIndex:
    """The words of one shard's live items."""

    def __init__(self, store: ShardStore, table: ShardTable) -> None:
        self._store = store
        self._table = table
        self._segments: list[Segment] = []
        self._changed = BitMap()
        self._taken = BitMap()
        self._live = BitMap()
        self._lengths = np.zeros(0, np.uint32)
        self._keys = Bounded[str, WordKey](lambda token: keys_of(token_spelling(token)))
        self._keys_of_word = Bounded[str, list[WordKey]](
            lambda word: [self._keys[token] for token in word.split()]
        )
        none = table.identifiers[:, :0]
        self._captured = IndexSnapshot((), none, self._lengths, _counted(none), 0, 0)

    def note(self, edits: Sequence[ShardEdit]) -> None:
        """Take notice of the edits that were applied to store and table."""
        changed = [
            edit.ordinal
            for edit in edits
            if isinstance(edit, ItemHead | DropItem) and edit.ordinal >= 0
        ]
        self._changed.update(changed)

    def note_all(self, ordinals: BitMap) -> None:
        """Take notice of items that the store held before."""
        self._changed |= ordinals

    @property
    def waiting(self) -> int:
        """How many items are noted and not taken up yet."""
        return len(self._changed)

    @property
    def unheard(self) -> BitMap:
        """The ordinals of the items that may say other than what was given out last."""
        return self._changed | self._taken

    def give_out(self) -> IndexSnapshot:
        """What was captured last; while nothing is being captured."""
        self._taken = BitMap()
        return self._captured

    def hear(self) -> Callable[[], None]:
        """Take up what is noted; the call that is returned captures it.

        It may run on another thread, one call of a shard after the other. It reads the store as
        that is by then: what has changed again meanwhile is noted again.
        """
        changed, self._changed = self._changed, BitMap()
        self._taken |= changed
        ordinals = _array(changed)
        table = self._table
        taken = _Taken(
            changed, table.identifiers[:, ordinals], table.live[ordinals], len(table.live)
        )
        return lambda: self._capture(taken)

    def capture(self) -> IndexSnapshot:
        """What the items say now; the same object until something is noted."""
        if self._changed:
            self.hear()()
        return self._captured

    def _capture(self, taken: _Taken) -> None:
        for segment in self._segments:
            segment.covered -= taken.changed
        self._index(taken)
        self._merge()
        identifiers, items_of_slot = self._recounted(taken)
        self._captured = IndexSnapshot(
            tuple(LiveSegment(segment, _covered(segment)) for segment in self._segments),
            identifiers,
            self._lengths.copy(),
            items_of_slot,
            len(self._live),
            int(self._lengths.sum()),
        )

    def _index(self, taken: _Taken) -> None:
        """Index what the changed items say, if they are live."""
        self._lengths = np.pad(self._lengths, (0, taken.room - len(self._lengths)))
        self._lengths[_array(taken.changed)] = 0
        words, ordinals, counts = array("q"), array("I"), array("I")
        for first in range(0, len(taken.changed), CHUNK):
            for row in self._store.rows_at(taken.changed[first : first + CHUNK]):
                item = decode_stored(row)
                # Dropped since, and perhaps put again under another ordinal: noted again.
                if isinstance(item, DroppedItem) or item.ordinal not in taken.changed:
                    continue
                keys = self._words(item)
                words.extend(keys)
                ordinals.append(item.ordinal)
                counts.append(len(keys))
        if not ordinals:
            return
        covered = BitMap(ordinals)
        places, lengths = np.frombuffer(ordinals, np.uint32), np.frombuffer(counts, np.uint32)
        self._lengths[places] = lengths
        pairs = np.repeat(places, lengths)
        self._segments.append(Segment.build(np.frombuffer(words, np.int64), pairs, covered))

    def _words(self, item: ItemWords) -> list[int]:
        """The keys of the text's tokens, and of those that its attributes alone have."""
        keys, of_word = self._keys, self._keys_of_word
        said = [keys[token][0] for token in item.text.split()]
        fields = {one for found in item.attributes for one in of_word[found.word]}
        text = set(said)
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

    def _recounted(self, taken: _Taken) -> tuple[NDArray[np.uint16], tuple[NDArray[np.int64], ...]]:
        """Identifiers and the items of each slot, from those before and what has changed."""
        before = self._captured
        identifiers = np.pad(
            before.identifiers, ((0, 0), (0, taken.room - len(before.identifiers[0])))
        )
        changed = _array(taken.changed)
        gone = _counted(identifiers[:, _array(taken.changed & self._live)])
        identifiers[:, changed] = taken.identifiers
        self._live -= taken.changed
        self._live |= BitMap(changed[taken.live].astype(np.uint32))
        come = _counted(taken.identifiers[:, taken.live])
        counts = zip(before.items_of_slot, come, gone, strict=True)
        return identifiers, tuple(_sum(_sum(count, more), -less) for count, more, less in counts)


def _counted(identifiers: NDArray[np.uint16]) -> tuple[NDArray[np.int64], ...]:
    """How often each slot of each position is in some identifiers."""
    return tuple(np.bincount(identifiers[position]) for position in range(POSITIONS))


def _sum(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of arrays of any lengths; what an array lacks is 0."""
    room = max(len(one), len(other))
    return np.pad(one, (0, room - len(one))) + np.pad(other, (0, room - len(other)))


def _covered(segment: Segment) -> NDArray[np.bool_] | None:
    if len(segment.covered) == segment.items:
        return None
    covered = np.zeros(int(segment.ordinals.max(initial=0)) + 1, np.bool_)
    ordinals = _array(segment.covered)
    # An item without any word may lie beyond the last ordinal that has one.
    covered[ordinals[ordinals < len(covered)]] = True
    return covered


def _array(ordinals: BitMap) -> NDArray[np.int64]:
    return np.asarray(ordinals.to_array()).astype(np.int64)
