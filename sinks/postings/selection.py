"""The items that a selector matches in one version of a shard, for readers that do not own it.

A search index narrows the candidates. Each is read from the store, and `CompiledSelector.matches`
decides, as it does for the shard's owner. Items that the index may have wrong are read too, so the
answer is exact however far the index is behind.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from pyroaring import BitMap

from kae.encoders.selector import And, CompiledSelector, Equals, Expression, Not, Or
from kae.encoders.text.spelling import token_spelling_key
from kae.sinks.log.edits import PutItem
from kae.sinks.postings.search_index import IndexSnapshot, spelling_keys
from kae.sinks.store.reader import StoreReader


def select_items(
    reader: StoreReader, index: IndexSnapshot, stale: BitMap, selector: CompiledSelector
) -> Iterator[PutItem]:
    """The live items that a selector matches; `stale` are those that `index` may have wrong.

    It costs a read, some 10 us, for each candidate: a `where` of nothing but `!=` and `not` makes
    every item one.
    """
    yield from _by_id(reader, selector.plus)
    if not selector.finds:
        return
    for item in _candidates(reader, index, stale, selector):
        if item.id in selector.plus:
            continue
        if selector.matches(item.id, item.text, item.attributes):
            yield item


def _by_id(reader: StoreReader, ids: Iterable[str]) -> Iterator[PutItem]:
    items = map(reader.item, sorted(ids))
    return (item for item in items if isinstance(item, PutItem))


def _candidates(
    reader: StoreReader, index: IndexSnapshot, stale: BitMap, selector: CompiledSelector
) -> Iterator[PutItem]:
    """All items that match, and some that do not."""
    if selector.items:
        yield from _by_id(reader, selector.items)
        return
    ordinals = BitMap(range(reader.state.next_ordinal))
    if selector.phrase:
        ordinals &= _with_words(index, selector.phrase)
    if selector.where is not None:
        satisfying = _may_satisfy(index, selector.where)
        if satisfying is not None:
            ordinals &= satisfying
    for ordinal in ordinals | stale:
        item = reader.live_item_at(ordinal)
        if item is not None:
            yield item


def _may_satisfy(index: IndexSnapshot, expression: Expression) -> BitMap | None:
    """The items of which an expression may be true; None where words exclude no item."""
    match expression:
        case Equals(_, word):
            return _with_words(index, word)
        case Not():
            return None
        case And(operands):
            parts = [part for one in operands if (part := _may_satisfy(index, one)) is not None]
            return BitMap.intersection(*parts) if parts else None
        case Or(operands):
            sides = [_may_satisfy(index, one) for one in operands]
            known = [side for side in sides if side is not None]
            return BitMap.union(*known) if len(known) == len(sides) else None


def _with_words(index: IndexSnapshot, words: str) -> BitMap:
    """The items that have every word, in text or attributes, in any spelling."""
    return BitMap.intersection(*(_with_word(index, word) for word in words.split(" ")))


def _with_word(index: IndexSnapshot, word: str) -> BitMap:
    keys = spelling_keys(token_spelling_key(word))
    return BitMap(np.concatenate([index.postings(key) for key in keys]))
