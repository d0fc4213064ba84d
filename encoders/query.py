"""What a token that a codebook does not have may have been meant as.

Words of the codebook that are written together or apart are found anyway (spelling.py); that two of
its words make up a third one is not guessed: a word that nobody knows is to lead nowhere.

"monnitor"  ->  "monitor"            one edit away
"headph"    ->  "headphone"          begun

From a query to what it wants: for each of its words, how items say it and which slots mean it.

    "grey toner cartridges, zorblax"  ->  gray, toner, cartridge: the slots of the words with them
                                          zorblax: the slot that operations bound it to
                                          words   ["toner cartridge", "grey", "zorblax"]

The codebook's longest words are found first; none overlaps another. On equal length a bound term
wins; the codebook's word then counts half, so what it led to is not lost. A term is one want; of
any other word each token is, since an identifier may hold it in any position, or only a part of it.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from kae.encoders.categories import Slot
from kae.encoders.codebook.codebook import Codebook, CodebookWord
from kae.encoders.text.measures import canonical, is_bare_number, is_measure, is_unit
from kae.encoders.text.normal_form import is_unspaced, normalise
from kae.encoders.text.seeds import stop_words
from kae.encoders.text.spelling import token_spelling

# Shorter tokens have too many neighbours.
SHORTEST = 4
SHORTEST_MEANT = 3
# Of several tokens those that most items have.
MOST = 2


class Respelling:
    """The tokens of a codebook, with the number of items that have each."""

    def __init__(self, items: Mapping[str, int]) -> None:
        self._items = dict(items)
        self._sorted = sorted(items)
        letters = {sign for token in items if not is_unspaced(token) for sign in token}
        self._alphabet = sorted(filter(str.isalpha, letters))

    def of(self, token: str) -> tuple[tuple[str, ...], ...]:
        """The ways to say what may be meant: edits before beginnings."""
        if len(token) < SHORTEST or not token.isalpha() or is_unspaced(token):
            return ()
        near = self._best(self._one_edit_away(token))
        return tuple((one,) for one in near or self._best(self._begun(token)))

    def _one_edit_away(self, token: str) -> Iterator[str]:
        """Without a letter, with two swapped, with one more, with another one."""
        for place in range(len(token) + 1):
            head, tail = token[:place], token[place:]
            yield head + tail[1:]
            yield head + tail[1:2] + tail[:1] + tail[2:]
            for letter in self._alphabet:
                yield head + letter + tail
                yield head + letter + tail[1:]

    def _begun(self, token: str) -> Iterator[str]:
        place = bisect_left(self._sorted, token)
        while place < len(self._sorted) and self._sorted[place].startswith(token):
            yield self._sorted[place]
            place += 1

    def _best(self, tokens: Iterable[str]) -> list[str]:
        known = {token for token in tokens if len(token) >= SHORTEST_MEANT and token in self._items}
        return sorted(known, key=lambda token: (-self._items[token], token))[:MOST]


QUERY_CHARACTERS = 500
QUERY_TOKENS = 32
# Slots by which one want is known from the codebook alone.
NAMED_SLOTS = 64
EXACT_SHARE = 1.0
# Of a codebook's word that is bound as a term too.
BESIDE_TERM_SHARE = 0.5
# Spellings of tokens; an item says it when its text has all of them.
Way = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Want:
    """One word that a query asks for.

    `ways`: how items say it; `instead`: what may be meant where none says it in any of these ways.
    `slots`: the share of the items under a slot that is about it, as far as the codebook knows.
    `terms`: the ids of the bindings that it names.
    """

    word: str
    ways: tuple[Way, ...]
    instead: tuple[Way, ...]
    slots: dict[Slot, float]
    terms: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """`words`: the codebook's and the bound ones that were found; `unknown`: tokens of none."""

    wants: list[Want]
    words: list[str]
    unknown: list[str]

    @property
    def terms(self) -> list[int]:
        return [term for want in self.wants for term in want.terms]


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
    words: tuple[CodebookWord, ...]

    def order(self) -> tuple[int, bool, int]:
        return -self.length, not self.bound, self.start


class QueryEncoder:
    """Encodes queries for one codebook; a pure function of the query and the bound terms."""

    def __init__(self, codebook: Codebook) -> None:
        self._codebook = codebook
        by_spelling: defaultdict[str, list[CodebookWord]] = defaultdict(list)
        containing: defaultdict[str, list[CodebookWord]] = defaultdict(list)
        items: defaultdict[str, int] = defaultdict(int)
        self._items_of_slot: defaultdict[Slot, int] = defaultdict(int)
        self._longest = 1
        # The words that most items have come first, so what is cut off is rare.
        for word in sorted(
            codebook.words, key=lambda word: (-word.items, word.category, word.word)
        ):
            if word.index:
                way = spelled(word.word)
                by_spelling["".join(way)].append(word)
                for token in dict.fromkeys(way):
                    containing[token].append(word)
                    items[token] += word.items
                self._items_of_slot[self._slot(word)] += word.items
                self._longest = max(self._longest, len(way))
        self._by_spelling = {spelling: tuple(words) for spelling, words in by_spelling.items()}
        self._containing = {token: tuple(words) for token, words in containing.items()}
        self._respelling = Respelling(items)

    def encode(self, text: str, terms: BoundTerms) -> Query:
        """What a query wants, each word once; words of grammar only if there is nothing else."""
        tokens = normalise(text[:QUERY_CHARACTERS]).split()[:QUERY_TOKENS]
        wants: dict[Way, Want] = {}
        words: dict[str, None] = {}
        unknown: dict[str, None] = {}
        for found in self._split(tokens, terms):
            own = tokens[found.start : found.start + found.length]
            if found.bound or found.words:
                words[" ".join(own)] = None
            elif not self._is_known(own):
                unknown[" ".join(own)] = None
            made = self._bound(own, found) if found.bound else self._plain(own, found.words)
            for want in made:
                wants.setdefault(want.ways[0], want)
        said = [want for want in wants.values() if want.word not in stop_words()]
        return Query(said or list(wants.values()), list(words), list(unknown))

    def _is_known(self, tokens: Sequence[str]) -> bool:
        """Whether they are a part of longer words, a measure, a number, or words of grammar."""
        surface = " ".join(tokens)
        return (
            all(token_spelling(token) in self._containing for token in tokens)
            or surface in stop_words()
            or is_measure(surface)
            or is_bare_number(surface)
        )

    def _split(self, tokens: Sequence[str], terms: BoundTerms) -> Iterator[_Found]:
        """Words that do not overlap, the longest first, and then the tokens that are left."""
        spellings = list(map(token_spelling, tokens))
        taken: set[int] = set()
        for found in sorted(self._candidates(tokens, spellings, terms), key=_Found.order):
            span = range(found.start, found.start + found.length)
            if taken.isdisjoint(span):
                taken.update(span)
                yield found
        yield from (_Found(place, 1, (), ()) for place in range(len(tokens)) if place not in taken)

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
                if bound or words or (length == 2 and is_measure(surface)):
                    yield _Found(start, length, bound, words)

    def _bound(self, tokens: Sequence[str], found: _Found) -> Iterator[Want]:
        slots = {self._slot(word): BESIDE_TERM_SHARE for word in found.words}
        slots.update((slot, EXACT_SHARE) for _, slot in found.bound)
        terms = tuple(binding for binding, _ in found.bound)
        yield Want(" ".join(tokens), (tuple(map(token_spelling, tokens)),), (), slots, terms)

    def _plain(self, tokens: Sequence[str], words: Sequence[CodebookWord]) -> Iterator[Want]:
        """A want for each token of the word as most items have it.

        To say the whole word in another way is to say each of its tokens.
        """
        asked = tuple(map(token_spelling, tokens))
        whole = spelled(words[0].word) if words else asked
        others = [asked, *_of_measure(" ".join(tokens)), *(spelled(word.word) for word in words)]
        others = [way for way in others if way != whole]
        for token in whole:
            slots = self._named(token)
            slots.update((self._slot(word), EXACT_SHARE) for word in words)
            instead = () if token in self._containing else self._respelling.of(token)
            for part in {part for way in instead for part in way}:
                slots |= self._named(part)
            yield Want(token, tuple(dict.fromkeys([(token,), *others])), instead, slots)

    def _named(self, token: str) -> dict[Slot, float]:
        """The slots with a word that has the token: those of the most items."""
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


def spelled(word: str) -> Way:
    """The spellings of a normalised word's tokens."""
    return tuple(map(token_spelling, word.split(" ")))


def _of_measure(surface: str) -> Iterator[Way]:
    """Number and unit written together, and apart."""
    if not is_measure(surface):
        return
    word = canonical(surface)
    end = next(place for place, sign in enumerate(word) if not (sign.isdecimal() or sign == "."))
    number, unit = word[:end], word[end:]
    yield (token_spelling(word),)
    if is_bare_number(number) and is_unit(unit):
        yield number, token_spelling(unit)
