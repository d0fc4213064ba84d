"""From a query to weighted slots: the words of the codebook, and the words that operations bound.

    "grey toner cartridges, zorblax"  ->  slots   gray 1.0, toner cartridge 1.0, zorblax's 1.0,
                                                  and less for each word that contains one of them
                                          words   ["toner cartridge", "grey", "zorblax"]

The longest words are found first; none overlaps another. On equal length a bound term wins; the
codebook's word then counts as an expansion, so what it led to is not lost.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from kae.encoders.categories import Slot
from kae.encoders.codebook import Codebook, Word
from kae.encoders.measures import canonical
from kae.encoders.spelling import token_spelling
from kae.encoders.text import normalise

QUERY_CHARACTERS = 500
QUERY_TOKENS = 32
EXPANSIONS = 64

EXACT_WEIGHT = 1.0
# Of the same word in a position that its own category does not lead to.
ELSEWHERE_WEIGHT = 0.5
# Of a longer word, times the share of its tokens that the query has.
EXPANSION_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Query:
    """What a query asks for.

    `slots`: the weight of each, at most 1.0; `terms`: the ids of the bindings that it names.
    """

    slots: dict[Slot, float]
    words: list[str]
    terms: list[int]


class BoundTerms:
    """The words that operations bound, as an immutable overlay on the codebook.

    Built from (binding id, normalised surface form, slot); one form may have several bindings.
    """

    def __init__(self, bindings: Iterable[tuple[int, str, Slot]] = ()) -> None:
        forms: defaultdict[str, list[tuple[int, Slot]]] = defaultdict(list)
        for binding, form, slot in sorted(bindings):
            forms[form].append((binding, slot))
        self.forms = MappingProxyType({form: tuple(bound) for form, bound in forms.items()})
        self.longest = max((form.count(" ") + 1 for form in forms), default=0)


@dataclass(frozen=True, slots=True)
class _Found:
    """A word of the query: its tokens are query[start:start+length]."""

    start: int
    length: int
    bound: tuple[tuple[int, Slot], ...]
    words: tuple[Word, ...]

    def order(self) -> tuple[int, bool, int]:
        return -self.length, not self.bound, self.start


class QueryEncoder:
    """Encodes queries for one codebook; a pure function of the query and the bound terms."""

    def __init__(self, codebook: Codebook) -> None:
        self._codebook = codebook
        by_spelling: defaultdict[str, list[Word]] = defaultdict(list)
        containing: defaultdict[str, list[Word]] = defaultdict(list)
        self._longest = 1
        # The words that most items have come first, so what is cut off is rare.
        for word in sorted(
            codebook.words, key=lambda word: (-word.items, word.category, word.word)
        ):
            if word.index:
                spellings = _spellings(word.word)
                by_spelling["".join(spellings)].append(word)
                for token in dict.fromkeys(spellings):
                    containing[token].append(word)
                self._longest = max(self._longest, len(spellings))
        self._by_spelling = {spelling: tuple(words) for spelling, words in by_spelling.items()}
        self._containing = {token: tuple(words) for token, words in containing.items()}

    def encode(self, text: str, terms: BoundTerms) -> Query:
        """The slots, words and bound terms of a query; unknown tokens give none."""
        tokens = normalise(text[:QUERY_CHARACTERS]).split(" ")[:QUERY_TOKENS]
        spellings = list(map(token_spelling, tokens))
        query = Query({}, [], [])
        taken: set[int] = set()
        for found in sorted(self._candidates(tokens, spellings, terms), key=_Found.order):
            span = range(found.start, found.start + found.length)
            if taken.isdisjoint(span):
                taken.update(span)
                word = " ".join(tokens[found.start : found.start + found.length])
                if word not in query.words:
                    query.words.append(word)
                    self._add(query, found, [spellings[place] for place in span])
        left = (spelling for place, spelling in enumerate(spellings) if place not in taken)
        for spelling in dict.fromkeys(left):
            self._expand(query, [spelling])
        return query

    def _candidates(
        self, tokens: Sequence[str], spellings: Sequence[str], terms: BoundTerms
    ) -> Iterator[_Found]:
        for start in range(len(tokens)):
            longest = min(max(self._longest, terms.longest), len(tokens) - start)
            for length in range(1, longest + 1):
                surface = " ".join(tokens[start : start + length])
                bound = terms.forms.get(surface, ())
                words = self._by_spelling.get("".join(spellings[start : start + length]), ())
                if not words and length <= 2:
                    words = self._by_spelling.get(canonical(surface), ())
                if bound or words:
                    yield _Found(start, length, bound, words)

    def _add(self, query: Query, found: _Found, spellings: Sequence[str]) -> None:
        for binding, slot in found.bound:
            query.terms.append(binding)
            _raise(query, slot, EXACT_WEIGHT)
        own = {self._codebook.position_of(word.category) for word in found.words if word.scanned}
        for word in found.words:
            slot = self._slot(word)
            leads = not found.bound and (slot.position in own or not own)
            _raise(query, slot, EXACT_WEIGHT if leads else ELSEWHERE_WEIGHT)
        self._expand(query, spellings)

    def _expand(self, query: Query, spellings: Sequence[str]) -> None:
        """Add the most frequent words that contain all of these tokens and more."""
        lists = [self._containing.get(spelling, ()) for spelling in spellings]
        rarest = min(lists, key=len)
        added = 0
        for word in rarest:
            tokens = _spellings(word.word)
            if len(tokens) > len(spellings) and set(spellings) <= set(tokens):
                _raise(query, self._slot(word), EXPANSION_WEIGHT * len(spellings) / len(tokens))
                added += 1
                if added == EXPANSIONS:
                    return

    def _slot(self, word: Word) -> Slot:
        return Slot(self._codebook.position_of(word.category), word.index)


def _spellings(word: str) -> list[str]:
    return list(map(token_spelling, word.split(" ")))


def _raise(query: Query, slot: Slot, weight: float) -> None:
    query.slots[slot] = max(weight, query.slots.get(slot, 0.0))
