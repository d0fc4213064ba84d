"""The items of a shard that a selector matches, for the shard's owner.

Keys are the words of an item's text, each once, and its (category, word) pairs: 130 bytes for an
item of the demo's catalog, at most three times that while items change. Equality and words are
bitmap algebra; a phrase of several words looks at the texts of the items that have all of them.
"""

from array import array
from collections.abc import Collection, Iterable

from pyroaring import BitMap

from kae.encoders.selector import And, CompiledSelector, Equals, Expression, Not, Or
from kae.encoders.text.normal_form import contains_phrase
from kae.sinks.log.edits import ItemHead
from kae.sinks.postings.inverted_index import InvertedIndex, ItemWords, decode_words
from kae.sinks.store.store import ShardStore

# Items of one segment as it is written; bounds the memory of a refresh.
SEGMENT_ITEMS = 1024


class SelectorIndex(InvertedIndex):
    """Resolves selectors against the live items; used by the thread that writes the store."""

    def __init__(self, store: ShardStore) -> None:
        super().__init__(store)
        self._live = BitMap()
        self.note_all(BitMap(range(store.next_ordinal)))

    def refresh(self, limit: int) -> None:
        """Index at most `limit` of the pending items."""
        while limit > 0 and self._pending:
            some = self._pending[: min(SEGMENT_ITEMS, limit)]
            limit -= len(some)
            ordinals, _ = self._write_segment(some)
            self._live -= some
            self._live |= BitMap(array("I", ordinals.tobytes()))
            self._pending -= some
        self._merge()

    def resolve(self, selector: CompiledSelector) -> BitMap:
        """The ordinals of the live items that a selector matches, every delta counted."""
        found = self._matching(selector) if selector.finds else BitMap()
        found -= self._ordinals_of(selector.minus)
        found |= self._ordinals_of(selector.plus)
        return found

    def _keys(self, item: ItemWords) -> Collection[int]:
        keys = {hash((found.category, found.word)) for found in item.attributes}
        keys.update(map(hash, item.text.split(" ")))
        return keys

    def _matching(self, selector: CompiledSelector) -> BitMap:
        """A new bitmap of the items that match every part that is set."""
        self.refresh(self.pending)
        found = self._live
        if selector.items:
            found = found & self._ordinals_of(selector.items)
        if selector.where is not None:
            found = found & self._satisfying(selector.where)
        if selector.phrase:
            found = self._containing(selector.phrase, found)
        return found.copy()

    def _ordinals_of(self, ids: Iterable[str]) -> BitMap:
        heads = self._store.heads(sorted(ids)).values()
        return BitMap(head.ordinal for head in heads if isinstance(head, ItemHead))

    def _satisfying(self, expression: Expression) -> BitMap:
        match expression:
            case Equals(category, word):
                return self._live_ordinals(hash((category, word)))
            case Not(operand):
                return self._live - self._satisfying(operand)
            case And(operands):
                return BitMap.intersection(self._live, *map(self._satisfying, operands))
            case Or(operands):
                return BitMap.union(BitMap(), *map(self._satisfying, operands))

    def _containing(self, phrase: str, among: BitMap) -> BitMap:
        """Those of some items whose text contains a phrase."""
        words = set(phrase.split(" "))
        found = among
        for word in words:
            found = found & self._live_ordinals(hash(word))
        if phrase in words:
            return found
        return BitMap(
            item.ordinal
            for item in map(decode_words, self._store.rows_at(found))
            if contains_phrase(item.text, phrase)
        )

    def _live_ordinals(self, key: int) -> BitMap:
        return BitMap.union(BitMap(), *(one.live_ordinals(key) for one in self._segments))
