"""Which of many selectors match an item: looked up by the item's words instead of tried in turn.

Every selector is indexed under a few keys of which a matching item must have one: a token of the
phrase, a listed id, or a word of the expression. An item is checked only against the selectors
under its own keys, and against the few without keys, such as a lone negation;
`CompiledSelector.matches` decides.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from kae.encoders.items import Attribute
from kae.encoders.selector import And, CompiledSelector, Equals, Expression, Not, Or

K = TypeVar("K")
CategoryWord = tuple[int, str]


class Percolator:
    """An index of selectors by the keys of the items that they can match."""

    def __init__(self, selectors: Mapping[int, CompiledSelector]) -> None:
        """`selectors` are keyed by binding id; `matching` keeps their order."""
        self._selectors = selectors
        self._places = {binding: place for place, binding in enumerate(selectors)}
        self._by_id: defaultdict[str, list[int]] = defaultdict(list)
        self._by_token: defaultdict[str, list[int]] = defaultdict(list)
        self._by_word: defaultdict[CategoryWord, list[int]] = defaultdict(list)
        self._unkeyed: list[int] = []
        for binding, selector in selectors.items():
            self._add(binding, selector)

    def matching(self, item_id: str, text: str, attributes: Sequence[Attribute]) -> list[int]:
        """Return the bindings whose selectors match an item."""
        if not self._selectors:
            return []
        candidates = {*self._unkeyed, *self._by_id.get(item_id, ())}
        if self._by_token:
            for token in self._by_token.keys() & text.split(" "):
                candidates.update(self._by_token[token])
        if self._by_word:
            for found in attributes:
                candidates.update(self._by_word.get((found.category, found.word), ()))
        matching = [
            binding
            for binding in candidates
            if self._selectors[binding].matches(item_id, text, attributes)
        ]
        return sorted(matching, key=self._places.__getitem__)

    def _add(self, binding: int, selector: CompiledSelector) -> None:
        _put(self._by_id, selector.plus, binding)
        if selector.items:
            _put(self._by_id, selector.items - selector.plus, binding)
        elif selector.phrase:
            # The longest token is usually the rarest.
            _put(self._by_token, [max(selector.phrase.split(" "), key=len)], binding)
        elif selector.where is not None:
            words = _required_words(selector.where)
            if words is None:
                self._unkeyed.append(binding)
            else:
                _put(self._by_word, words, binding)


def _put(index: dict[K, list[int]], keys: Iterable[K], binding: int) -> None:
    for key in keys:
        index[key].append(binding)


def _required_words(expression: Expression) -> frozenset[CategoryWord] | None:
    """Return words of which every matching item has at least one; None if there are none."""
    match expression:
        case Equals(category, word):
            return frozenset([(category, word)])
        case Not():
            return None
        case And(operands):
            sets = [words for each in operands if (words := _required_words(each)) is not None]
            return min(sets, key=len) if sets else None
        case Or(operands):
            sides = [_required_words(each) for each in operands]
            keyed = [side for side in sides if side is not None]
            return frozenset().union(*keyed) if len(keyed) == len(sides) else None
