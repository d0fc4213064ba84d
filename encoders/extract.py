"""From an item to its attributes: its fields first, then its title, then its description.

Title and description are searched for the codebook's words by one Aho-Corasick automaton: the
leftmost, longest words, at token boundaries, none inside another. What has the shape of a measure
or of a model number needs no dictionary. Items are searched many at a time: a search lets go of the
interpreter's lock, and getting it back costs more than the search of one title.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import accumulate, chain

import msgspec
from ahocorasick_rs import AhoCorasick, MatchKind

from kae.encoders.attributes import Attribute, Item, Source
from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.codebook import Codebook
from kae.encoders.measures import SHAPES, canonical
from kae.encoders.text import normalise
from kae.encoders.values import words_of

TITLE_CHARACTERS = 1000
DESCRIPTION_CHARACTERS = 2000
ATTRIBUTES_OF_AN_ITEM = 256

CONFIRMED_SCORE = 1.0  # of a field's word that the title has too
FIELD_SCORE = 0.95
TITLE_SCORE = 0.9
DESCRIPTION_SCORE = 0.5

_CACHED_VALUES = 65536
_CACHED_VALUE_CHARACTERS = 200
_CACHED_SHAPES = 65536
# Stands for a measure in the text that is scanned for words: no word contains it.
_BLANK = " \N{SYMBOL FOR SUBSTITUTE}"
_BETWEEN_TEXTS = " \n "
_MEASURE = CATEGORY_INDEX["specification"]
_MODEL = CATEGORY_INDEX["model"]

# What an assigner knows of an attribute: its position, and its place in the order there.
Rank = tuple[int, tuple[float, ...]]


class Found:
    """An attribute that was found, with all that joining and assigning ask of it worked out once.

    Attributes are few and items many: every item that has the word shares one.
    """

    __slots__ = ("attribute", "confirmed", "confirms", "key", "rank")

    def __init__(self, attribute: Attribute, rank: Callable[[Attribute], Rank | None]) -> None:
        self.attribute = attribute
        self.key = f"{attribute.category} {attribute.word}"
        self.rank = rank(attribute)
        self.confirms = attribute.score == TITLE_SCORE
        self.confirmed: Found | None = None
        if attribute.score == FIELD_SCORE:
            confirmed = msgspec.structs.replace(attribute, score=CONFIRMED_SCORE)
            self.confirmed = Found(confirmed, rank)


class Extractor:
    """Finds the words of a codebook in items and texts."""

    def __init__(
        self, codebook: Codebook, rank: Callable[[Attribute], Rank | None] = lambda _: None
    ) -> None:
        self._fields = {name: CATEGORY_INDEX[kind] for name, kind in codebook.fields.items()}
        self._rank = rank
        self._values = lru_cache(_CACHED_VALUES)(self._of_value)
        self._shaped = lru_cache(_CACHED_SHAPES)(self._of_shape)
        scanned = [word for word in codebook.words if word.scanned]
        self._known = frozenset(word.word for word in scanned)
        self._automaton = AhoCorasick(
            (f" {_spaced(word.word)} " for word in scanned), matchkind=MatchKind.LeftmostLongest
        )
        self._in_title, self._in_description = (
            [
                self._found(word.category, word.word, word.word, Source.DICTIONARY, score)
                for word in scanned
            ]
            for score in (TITLE_SCORE, DESCRIPTION_SCORE)
        )

    def extract(self, item: Item) -> tuple[Attribute, ...]:
        """The item's attributes: each (category, word) once, from its most trusted source."""
        (found,) = self.find([item], [normalise(item.title)], [normalise(item.description)])
        return tuple(one.attribute for one in found)

    def scan(self, text: str) -> list[Attribute]:
        """The words of any text, such as a title."""
        (found,) = self.find([Item("", "")], [normalise(text)], [""])
        return [one.attribute for one in found]

    def of_fields(self, item: Item) -> list[Attribute]:
        """The words of the mapped fields alone."""
        return [one.attribute for one in self._of_fields(item)]

    def find(
        self, items: Sequence[Item], titles: Sequence[str], descriptions: Sequence[str]
    ) -> list[list[Found]]:
        """What `extract` finds, for many items and their normalised texts."""
        beginnings = [
            text
            for title, description in zip(titles, descriptions, strict=True)
            for text in (
                _beginning(title, TITLE_CHARACTERS),
                _beginning(description, DESCRIPTION_CHARACTERS),
            )
        ]
        # A space around each, so that every word has its borders.
        joined = f" {_BETWEEN_TEXTS.join(beginnings)} "
        shapes, rest = self._shapes(joined, len(beginnings))
        words = self._words(rest, len(beginnings))
        return [
            _once(
                chain(
                    self._of_fields(item),
                    words[2 * n],
                    shapes[2 * n],
                    words[2 * n + 1],
                    shapes[2 * n + 1],
                )
            )
            for n, item in enumerate(items)
        ]

    # Fields.

    def _of_fields(self, item: Item) -> list[Found]:
        found: list[Found] = []
        fields = item.fields
        # In order of name: a feed that shuffles its fields has not changed the item.
        for name in sorted([name for name in fields if name in self._fields]):
            category, values = self._fields[name], fields[name]
            for value in (values,) if isinstance(values, str) else values:
                if len(value) <= _CACHED_VALUE_CHARACTERS:
                    found += self._values(category, value)
                else:
                    found += self._of_value(category, value)
        return found

    def _of_value(self, category: int, value: str) -> list[Found]:
        return [
            self._found(category, word, text, Source.FIELD, FIELD_SCORE)
            for word, text in words_of(value, category)
        ]

    # Texts, joined: titles and descriptions take turns.

    def _shapes(self, joined: str, texts: int) -> tuple[list[list[Found]], str]:
        """Measures and models that are no words of the dictionary; the texts without measures."""
        found: list[list[Found]] = [[] for _ in range(texts)]
        # text, measure or None, model or None, text, ...; the space before a shape is in none.
        pieces: list[str] = SHAPES.split(joined)
        number = 0
        for place in range(1, len(pieces), 3):
            number += pieces[place - 1].count("\n")
            measure, model = pieces[place], pieces[place + 1]
            surface = measure or model
            is_new = surface not in self._known
            if is_new:
                score = DESCRIPTION_SCORE if number & 1 else TITLE_SCORE
                found[number].append(self._shaped(_MEASURE if measure else _MODEL, surface, score))
            pieces[place] = _BLANK if is_new and measure else f" {surface}"
            pieces[place + 1] = ""
        return found, "".join(pieces)

    def _of_shape(self, category: int, surface: str, score: float) -> Found:
        return self._found(category, canonical(surface), surface, Source.DICTIONARY, score)

    def _words(self, joined: str, texts: int) -> list[list[Found]]:
        """The dictionary's words in each text."""
        found: list[list[Found]] = [[] for _ in range(texts)]
        spaced = _spaced(joined)
        ends = accumulate(len(line) + 1 for line in spaced.split("\n"))
        end, number = next(ends), 0
        known = (self._in_title, self._in_description)
        for pattern, start, _ in self._automaton.find_matches_as_indexes(spaced):
            while start >= end:
                end, number = next(ends), number + 1
            found[number].append(known[number & 1][pattern])
        return found

    def _found(self, category: int, word: str, text: str, source: Source, score: float) -> Found:
        return Found(Attribute(category, word, text, source, score), self._rank)


def _beginning(text: str, characters: int) -> str:
    """At most so many characters, without a token that this would cut."""
    if len(text) <= characters:
        return text
    return text[: text.rfind(" ", 0, characters + 1) + 1].rstrip()


def _spaced(text: str) -> str:
    """Two spaces between tokens, so that neighbours can both match with their borders."""
    return text.replace(" ", "  ")


def _once(found: Iterable[Found]) -> list[Found]:
    first: dict[str, Found] = {}
    for one in found:
        earlier = first.setdefault(one.key, one)
        if earlier is not one and one.confirms and earlier.confirmed:
            first[one.key] = earlier.confirmed
    return list(first.values())[:ATTRIBUTES_OF_AN_ITEM]
