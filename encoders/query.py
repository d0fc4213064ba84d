"""From a query to its clauses: for each word, how items write it and which slots hold it.

    "grey toner cartridges, zorblax"  ->  gray, toner, cartridge: the slots of words with them
                                          zorblax: the slot that the term is bound to
                                          words   ["toner cartridge", "grey", "zorblax"]

The codebook's longest words are found first, without overlaps. Of equally long ones a bound term
wins; the slots of the codebook's own word then count half, so that what it led to is not lost. A
term is one clause. Any other word has a clause for each token, since an identifier may hold the
token in any position, or hold only one of several.

Tokens that no item has are corrected:

    "monnitor"  ->  "monitor"     one edit away
    "headph"    ->  "headphone"   completed

Words that are written together or separately share a spelling key (text/spelling.py). An unknown
word is not split into known ones, since a word that nobody knows is to match nothing.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kae.encoders.categories import Slot
from kae.encoders.codebook.codebook import Codebook, CodebookWord
from kae.encoders.text.bundled_words import stop_words
from kae.encoders.text.measures import (
    inch_key,
    is_bare_number,
    is_measure,
    is_unit,
    measure_spellings,
)
from kae.encoders.text.normal_form import is_unspaced
from kae.encoders.text.search_form import SearchForm
from kae.encoders.text.spelling import token_spelling_key, umlaut_key

# Shorter tokens have too many neighbours.
MIN_CHARACTERS = 4
MIN_CORRECTION_CHARACTERS = 3
# Of several corrections, those that most items have.
MAX_CORRECTIONS = 2


class SpellingCorrector:
    """Corrects tokens by those of a codebook; `items` is the number of items that have each."""

    def __init__(self, items: Mapping[str, int]) -> None:
        self._items = dict(items)
        self._sorted = sorted(items)
        letters = {sign for token in items if not is_unspaced(token) for sign in token}
        self._alphabet = sorted(filter(str.isalpha, letters))

    def corrections(self, token: str) -> tuple[tuple[str, ...], ...]:
        """Return what may be meant: tokens one edit away, or else completions."""
        if len(token) < MIN_CHARACTERS or not token.isalpha() or is_unspaced(token):
            return ()
        near = self._most_frequent(self._edits(token))
        return tuple((one,) for one in near or self._most_frequent(self._completions(token)))

    def _edits(self, token: str) -> Iterator[str]:
        """Yield the token with a letter deleted, two swapped, one inserted, one replaced."""
        for place in range(len(token) + 1):
            head, tail = token[:place], token[place:]
            yield head + tail[1:]
            yield head + tail[1:2] + tail[:1] + tail[2:]
            for letter in self._alphabet:
                yield head + letter + tail
                yield head + letter + tail[1:]

    def _completions(self, token: str) -> Iterator[str]:
        place = bisect_left(self._sorted, token)
        while place < len(self._sorted) and self._sorted[place].startswith(token):
            yield self._sorted[place]
            place += 1

    def _most_frequent(self, tokens: Iterable[str]) -> list[str]:
        known = {
            token
            for token in tokens
            if len(token) >= MIN_CORRECTION_CHARACTERS and token in self._items
        }
        return sorted(known, key=lambda token: (-self._items[token], token))[:MAX_CORRECTIONS]


QUERY_CHARACTERS = 500
QUERY_TOKENS = 32
# How many words with a token give its clause slots.
NAMED_SLOTS = 64
EXACT_SHARE = 1.0
# The share of a codebook's word that is also bound as a term.
BESIDE_TERM_SHARE = 0.5
# Spelling keys of tokens; an item matches when its text has all of them.
Variant = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WordClause:
    """One word that a query asks for.

    `variants`: how items may write it; `corrections`: what may be meant if no item has a variant.
    `slots`: for each slot, the share of its items that have the word, as far as the codebook knows.
    `terms`: the ids of the bindings that it names.
    """

    word: str
    variants: tuple[Variant, ...]
    corrections: tuple[Variant, ...]
    slots: dict[Slot, float]
    terms: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """`words`: those of the codebook and of terms; `unknown`: those that neither has."""

    clauses: list[WordClause]
    words: list[str]
    unknown: list[str]

    @property
    def terms(self) -> list[int]:
        return [term for clause in self.clauses for term in clause.terms]


class BoundTerms:
    """The bound terms, as an immutable overlay on the codebook.

    Built from (binding id, normalised surface form, slot); several bindings may have one search
    form, "crème" and "creme".
    """

    def __init__(self, bindings: Iterable[tuple[int, str, Slot]] = ()) -> None:
        # As they were given, by binding.
        self.bindings = tuple(sorted(bindings))
        self._read: dict[SearchForm, _BoundForms] = {}

    def read_as(self, form: SearchForm) -> "_BoundForms":
        """The terms in the search form of a codebook."""
        read = self._read.get(form)
        if read is None:
            self._read[form] = read = _BoundForms(self.bindings, form)
        return read


class _BoundForms:
    """The bound terms by their search form."""

    def __init__(self, bindings: Iterable[tuple[int, str, Slot]], form: SearchForm) -> None:
        forms: defaultdict[str, list[tuple[int, Slot]]] = defaultdict(list)
        for binding, written, slot in bindings:
            found = (binding, slot)
            if found not in (alike := forms[umlaut_key(form.normalise(written))]):
                alike.append(found)
        self._forms = {form: tuple(bound) for form, bound in forms.items()}
        self.longest = max((form.count(" ") + 1 for form in forms), default=0)

    def bound(self, surface: str) -> tuple[tuple[int, Slot], ...]:
        """The bindings of a part of a query, in the search form."""
        return self._forms.get(umlaut_key(surface), ()) if self._forms else ()


@dataclass(frozen=True, slots=True)
class _Found:
    """A word of the query: its tokens are query[start:start+length]."""

    start: int
    length: int
    bound: tuple[tuple[int, Slot], ...]
    words: tuple[CodebookWord, ...]

    def order(self) -> tuple[int, bool, int]:
        return -self.length, not self.bound, self.start


class QueryEncoder:
    """Encodes queries for one codebook; a pure function of the query and the bound terms."""

    def __init__(self, codebook: Codebook) -> None:
        self._codebook = codebook
        self._form = codebook.form
        by_spelling: defaultdict[str, list[CodebookWord]] = defaultdict(list)
        containing: defaultdict[str, list[CodebookWord]] = defaultdict(list)
        items: defaultdict[str, int] = defaultdict(int)
        self._items_of_slot: defaultdict[Slot, int] = defaultdict(int)
        self._longest = 2  # a measure, with number and unit separate
        # Sorted by items, so that what NAMED_SLOTS cuts off is rare.
        for word in sorted(
            codebook.words, key=lambda word: (-word.items, word.category, word.word)
        ):
            if word.index:
                variant = token_keys(word.word)
                by_spelling["".join(variant)].append(word)
                for token in dict.fromkeys(variant):
                    containing[token].append(word)
                    items[token] += word.items
                self._items_of_slot[self._slot(word)] += word.items
                self._longest = max(self._longest, len(variant))
        self._by_spelling = {spelling: tuple(words) for spelling, words in by_spelling.items()}
        self._containing = {token: tuple(words) for token, words in containing.items()}
        self._corrector = SpellingCorrector(items)

    def encode(self, text: str, terms: BoundTerms) -> Query:
        """Encode a query, each word once; stop words only if there is nothing else."""
        tokens = self._form.tokens_of(text[:QUERY_CHARACTERS])[:QUERY_TOKENS]
        bound_forms = terms.read_as(self._form)
        clauses: dict[Variant, WordClause] = {}
        words: dict[str, None] = {}
        rest: list[int] = []  # places of tokens that are no words
        for found in self._split(tokens, bound_forms):
            own = tokens[found.start : found.start + found.length]
            if found.bound or found.words:
                words[" ".join(own)] = None
            elif found.length == 1:  # else it is a measure
                rest.append(found.start)
            made = (
                self._term_clause(own, found)
                if found.bound
                else self._token_clauses(own, found.words)
            )
            for clause in made:
                clauses.setdefault(clause.variants[0], clause)
        without_stop_words = [
            clause for clause in clauses.values() if clause.word not in stop_words()
        ]
        return Query(
            without_stop_words or list(clauses.values()), list(words), self._unknown(tokens, rest)
        )

    def _unknown(self, tokens: Sequence[str], places: Iterable[int]) -> list[str]:
        """The unknown words among the tokens at some places, each once.

        Characters in a row of a script without spaces are a word, if any of them is unknown.
        """
        unknown: dict[str, None] = {}
        run: list[str] = []
        after = -1
        for place in [*sorted(places), len(tokens)]:
            token = tokens[place] if place < len(tokens) else ""
            if run and not (place == after and is_unspaced(token)):
                if not all(self._is_known([character]) for character in run):
                    unknown["".join(run)] = None
                run = []
            if is_unspaced(token):
                run.append(token)
                after = place + 1
            elif token and not self._is_known([token]):
                unknown[token] = None
        return list(unknown)

    def _is_known(self, tokens: Sequence[str]) -> bool:
        """Whether the tokens are parts of longer words, a measure, a number, or stop words."""
        surface = " ".join(tokens)
        return (
            all(token_spelling_key(token) in self._containing for token in tokens)
            or surface in stop_words()
            or is_measure(surface)
            or is_bare_number(surface)
        )

    def _split(self, tokens: Sequence[str], terms: _BoundForms) -> Iterator[_Found]:
        """Yield words without overlaps, the longest first, and then the remaining tokens."""
        spellings = list(map(token_spelling_key, tokens))
        taken: set[int] = set()
        for found in sorted(self._candidates(tokens, spellings, terms), key=_Found.order):
            span = range(found.start, found.start + found.length)
            if taken.isdisjoint(span):
                taken.update(span)
                yield found
        yield from (_Found(place, 1, (), ()) for place in range(len(tokens)) if place not in taken)

    def _candidates(
        self, tokens: Sequence[str], spellings: Sequence[str], terms: _BoundForms
    ) -> Iterator[_Found]:
        for start in range(len(tokens)):
            longest = min(max(self._longest, terms.longest), len(tokens) - start)
            for length in range(1, longest + 1):
                surface = " ".join(tokens[start : start + length])
                bound = terms.bound(surface)
                words = self._by_spelling.get("".join(spellings[start : start + length]), ())
                if not words and length <= 2:
                    words = self._by_spelling.get(inch_key(surface), ())
                if bound or words or (length == 2 and is_measure(surface)):
                    yield _Found(start, length, bound, words)

    def _term_clause(self, tokens: Sequence[str], found: _Found) -> Iterator[WordClause]:
        slots = {self._slot(word): BESIDE_TERM_SHARE for word in found.words}
        slots.update((slot, EXACT_SHARE) for _, slot in found.bound)
        terms = tuple(binding for binding, _ in found.bound)
        yield WordClause(
            " ".join(tokens), (tuple(map(token_spelling_key, tokens)),), (), slots, terms
        )

    def _token_clauses(
        self, tokens: Sequence[str], words: Sequence[CodebookWord]
    ) -> Iterator[WordClause]:
        """Yield a clause for each token of the word's most frequent spelling.

        Another spelling of the whole word is a variant of each token.
        """
        written = tuple(map(token_spelling_key, tokens))
        whole = token_keys(words[0].word) if words else written
        others = [
            written,
            *_measure_variants(" ".join(tokens)),
            *(token_keys(word.word) for word in words),
        ]
        others = [variant for variant in others if variant != whole]
        for token in whole:
            slots = self._slots_with_token(token)
            slots.update((self._slot(word), EXACT_SHARE) for word in words)
            corrections = () if token in self._containing else self._corrector.corrections(token)
            for part in {part for variant in corrections for part in variant}:
                slots |= self._slots_with_token(part)
            yield WordClause(token, tuple(dict.fromkeys([(token,), *others])), corrections, slots)

    def _slots_with_token(self, token: str) -> dict[Slot, float]:
        """Return the slots of the most frequent words that have the token, with their shares."""
        items: defaultdict[Slot, int] = defaultdict(int)
        for word in self._containing.get(token, ())[:NAMED_SLOTS]:
            items[self._slot(word)] += word.items
        return {
            slot: min(EXACT_SHARE, having / self._items_of_slot[slot])
            for slot, having in items.items()
            if having
        }

    def _slot(self, word: CodebookWord) -> Slot:
        return Slot(self._codebook.position_of(word.category), word.index)


def token_keys(word: str) -> Variant:
    """Return the spelling keys of a normalised word's tokens."""
    return tuple(map(token_spelling_key, word.split(" ")))


def _measure_variants(surface: str) -> Iterator[Variant]:
    """Yield a measure with number and unit joined, and with them separate, in every spelling."""
    for number, unit in measure_spellings(surface):
        yield (token_spelling_key(number + unit),)
        if is_unit(unit):
            yield number, token_spelling_key(unit)
