"""Which items of a shard a selector matches, by postings: word -> ordinals, as roaring bitmaps.

A delta costs the live path next to nothing: its ordinals are noted. What is noted is read from the
store and indexed later, in idle time by `catch_up`, or at last by `resolve`, so that an answer
always counts every delta. The postings are in memory alone, and begin empty when a shard is opened.

Words of texts and (category, word) pairs are known by 64-bit keys, so nothing here grows with the
words that were ever seen. A pair of word and item costs 4 bytes, a word 16 more: 130 bytes for an
item of the demo's catalog, at most 20 for each of its words, three times that while items change.
That a word of a selector shares its key with another of ten million words has a probability of
10^-12; then the items of both would match.
"""

from array import array
from collections.abc import Iterable, Sequence

import numpy as np
from pyroaring import BitMap

from kae.encoders.selector import All, Any, Compiled, Equals, Expression, Not
from kae.encoders.text.normal_form import contains_phrase
from kae.sinks.log.edits import DropItem, ItemHead, ShardEdit
from kae.sinks.postings.segment import Segment, decode_words
from kae.sinks.store.store import ShardStore

# Read from the store at once; bounds the memory that indexing takes beside the postings.
CHUNK = 1024


class Postings:
    """Resolves selectors against the items of one store; used by the thread that writes it."""

    def __init__(self, store: ShardStore) -> None:
        self._store = store
        self._segments: list[Segment] = []
        self._indexed = BitMap()
        # Whatever the store may hold already; what it does not hold is passed over.
        self._noted = BitMap(range(store.next_ordinal))

    def note(self, edits: Sequence[ShardEdit]) -> None:
        """Take notice of the edits that were applied."""
        self._noted.update(edit.ordinal for edit in edits if isinstance(edit, ItemHead))
        gone = [e.ordinal for e in edits if isinstance(e, DropItem) and e.ordinal >= 0]
        if gone:
            self._uncover(BitMap(gone))

    @property
    def waiting(self) -> int:
        """How many items are noted and not indexed yet."""
        return len(self._noted)

    @property
    def bytes(self) -> int:
        """The memory of the postings."""
        return sum(segment.bytes for segment in self._segments)

    def catch_up(self, limit: int) -> bool:
        """Index at most `limit` of the noted items; whether more are waiting."""
        while limit > 0 and self._noted:
            chunk = self._noted[: min(CHUNK, limit)]
            limit -= len(chunk)
            self._index(chunk)
            self._noted -= chunk
        self._merge()
        return bool(self._noted)

    def resolve(self, selector: Compiled) -> BitMap:
        """The ordinals of the live items that `selector` matches."""
        found = self._found(selector) if selector.finds else BitMap()
        found -= self._named(selector.minus)
        found |= self._named(selector.plus)
        return found

    def _found(self, selector: Compiled) -> BitMap:
        """A bitmap of its own, of those that hold every part that is set."""
        self.catch_up(len(self._noted))
        found = self._indexed
        if selector.items:
            found = found & self._named(selector.items)
        if selector.where is not None:
            found = found & self._holding(selector.where)
        if selector.phrase:
            found = self._saying(selector.phrase, found)
        return found.copy()

    # Indexing.

    def _index(self, chunk: BitMap) -> None:
        self._uncover(chunk)
        words, ordinals, counts = array("q"), array("I"), array("I")
        for row in self._store.rows_at(chunk):
            item = decode_words(row)
            keys = {hash((found.category, found.word)) for found in item.attributes}
            keys.update(map(hash, item.text.split(" ")))
            words.extend(keys)
            ordinals.append(item.ordinal)
            counts.append(len(keys))
        if not ordinals:
            return
        covered = BitMap(ordinals)
        pairs = np.repeat(np.frombuffer(ordinals, np.uint32), np.frombuffer(counts, np.uint32))
        self._segments.append(Segment.build(np.frombuffer(words, np.int64), pairs, covered))
        self._indexed |= covered

    def _uncover(self, ordinals: BitMap) -> None:
        for segment in self._segments:
            segment.covered -= ordinals
        self._indexed -= ordinals

    def _merge(self) -> None:
        """Keep few segments, each at least as large as all newer ones, and no mostly empty one."""
        kept: list[Segment] = []
        for segment in self._segments:
            if segment.covered:
                kept.append(Segment.merged([segment]) if segment.is_sparse else segment)
            while len(kept) > 1 and kept[-2].pairs < 2 * kept[-1].pairs:
                kept[-2:] = [Segment.merged(kept[-2:])]
        self._segments = kept

    # Resolving.

    def _named(self, ids: Iterable[str]) -> BitMap:
        heads = self._store.heads(sorted(ids)).values()
        return BitMap(head.ordinal for head in heads if isinstance(head, ItemHead))

    def _holding(self, expression: Expression) -> BitMap:
        match expression:
            case Equals(category, word):
                return self._having(hash((category, word)))
            case Not(operand):
                return self._indexed - self._holding(operand)
            case All(operands):
                return BitMap.intersection(self._indexed, *map(self._holding, operands))
            case Any(operands):
                return BitMap.union(BitMap(), *map(self._holding, operands))

    def _saying(self, phrase: str, among: BitMap) -> BitMap:
        """Those whose text has the phrase; several words in it need a look at the texts."""
        tokens = set(phrase.split(" "))
        found = among
        for token in tokens:
            found = found & self._having(hash(token))
        if phrase in tokens:
            return found
        return BitMap(
            item.ordinal
            for item in map(decode_words, self._store.rows_at(found))
            if contains_phrase(item.text, phrase)
        )

    def _having(self, key: int) -> BitMap:
        return BitMap.union(BitMap(), *(segment.having(key) for segment in self._segments))
