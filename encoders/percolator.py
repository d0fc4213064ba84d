"""Which of many selectors match an item: looked up by what the item has, not tried one by one.

Every item that a selector matches has at least one of a few keys: a token of the phrase, one of the
listed ids, or a word of the expression. An item is asked only of the selectors behind its own keys,
and of the few that have none, such as a sole negation; `Compiled.matches` decides.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from kae.encoders.items import Attribute
from kae.encoders.selector import All, Any, Compiled, Equals, Expression, Not

K = TypeVar("K")
CategoryWord = tuple[int, str]


class Percolator:
    """Selectors by what an item must have for one of them to match."""

    def __init__(self, selectors: Mapping[int, Compiled]) -> None:
        """`selectors` by the bindings that they belong to; what matches keeps their order."""
        self._selectors = selectors
        self._places = {binding: place for place, binding in enumerate(selectors)}
        self._by_id: defaultdict[str, list[int]] = defaultdict(list)
        self._by_token: defaultdict[str, list[int]] = defaultdict(list)
        self._by_word: defaultdict[CategoryWord, list[int]] = defaultdict(list)
        self._unkeyed: list[int] = []
        for binding, selector in selectors.items():
            self._add(binding, selector)

    def matching(self, item_id: str, text: str, attributes: Sequence[Attribute]) -> list[int]:
        """The bindings whose selectors match an item."""
        if not self._selectors:
            return []
        asked = {*self._unkeyed, *self._by_id.get(item_id, ())}
        if self._by_token:
            for token in self._by_token.keys() & text.split(" "):
                asked.update(self._by_token[token])
        if self._by_word:
            for found in attributes:
                asked.update(self._by_word.get((found.category, found.word), ()))
        matching = [
            binding
            for binding in asked
            if self._selectors[binding].matches(item_id, text, attributes)
        ]
        return sorted(matching, key=self._places.__getitem__)

    def _add(self, binding: int, selector: Compiled) -> None:
        _put(self._by_id, selector.plus, binding)
        if selector.items:
            _put(self._by_id, selector.items - selector.plus, binding)
        elif selector.phrase:
            # The longest token: as a rule the rarest.
            _put(self._by_token, [max(selector.phrase.split(" "), key=len)], binding)
        elif selector.where is not None:
            words = _needed(selector.where)
            if words is None:
                self._unkeyed.append(binding)
            else:
                _put(self._by_word, words, binding)


def _put(index: dict[K, list[int]], keys: Iterable[K], binding: int) -> None:
    for key in keys:
        index[key].append(binding)


def _needed(expression: Expression) -> frozenset[CategoryWord] | None:
    """Words of which an item has at least one if the expression holds; None: there are no such."""
    match expression:
        case Equals(category, word):
            return frozenset([(category, word)])
        case Not():
            return None
        case All(operands):
            sets = [words for each in operands if (words := _needed(each)) is not None]
            return min(sets, key=len) if sets else None
        case Any(operands):
            sides = [_needed(each) for each in operands]
            known = [side for side in sides if side is not None]
            return frozenset().union(*known) if len(known) == len(sides) else None
