"""From an item to its attributes: its fields first, then its title, then its description.

Title and description are searched for the codebook's words by one Aho-Corasick automaton: the
leftmost, longest words, at token boundaries, none inside another. What has the shape of a measure
or of a model number needs no dictionary.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

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
# Stands for a measure in the text that is scanned for words: no word contains it.
_BLANK = "\N{SYMBOL FOR SUBSTITUTE}"
_SHAPE_CATEGORY = {
    "measure": CATEGORY_INDEX["specification"],
    "model": CATEGORY_INDEX["model"],
}


class Extractor:
    """Finds the words of a codebook in items and texts."""

    def __init__(self, codebook: Codebook) -> None:
        self._fields = {name: CATEGORY_INDEX[kind] for name, kind in codebook.fields.items()}
        self._values = lru_cache(_CACHED_VALUES)(_of_value)
        scanned = [word for word in codebook.words if word.scanned]
        self._known = frozenset(word.word for word in scanned)
        self._automaton = AhoCorasick(
            (_padded(word.word) for word in scanned), matchkind=MatchKind.LeftmostLongest
        )
        # Attributes are immutable, so every item that has the word shares one.
        self._in_title, self._in_description = (
            [
                Attribute(word.category, word.word, word.word, Source.DICTIONARY, score)
                for word in scanned
            ]
            for score in (TITLE_SCORE, DESCRIPTION_SCORE)
        )

    def extract(self, item: Item) -> tuple[Attribute, ...]:
        """The item's attributes: each (category, word) once, from its most trusted source."""
        return self.extract_normalised(item, normalise(item.title), normalise(item.description))

    def extract_normalised(self, item: Item, title: str, description: str) -> tuple[Attribute, ...]:
        """The same, for a caller that has the normalised texts already."""
        found = self.of_fields(item)
        found += self._of_text(_beginning(title, TITLE_CHARACTERS), TITLE_SCORE)
        if description:
            found += self._of_text(
                _beginning(description, DESCRIPTION_CHARACTERS), DESCRIPTION_SCORE
            )
        return _once(found)

    def scan(self, text: str) -> list[Attribute]:
        """The words of any text, such as a title."""
        return list(_once(self._of_text(normalise(text), TITLE_SCORE)))

    def of_fields(self, item: Item) -> list[Attribute]:
        """The words of the mapped fields alone."""
        found: list[Attribute] = []
        # In order of name: a feed that shuffles its fields has not changed the item.
        for name in sorted(self._fields.keys() & item.fields.keys()):
            category, values = self._fields[name], item.fields[name]
            for value in (values,) if isinstance(values, str) else values:
                if len(value) <= _CACHED_VALUE_CHARACTERS:
                    found += self._values(category, value)
                else:
                    found += _of_value(category, value)
        return found

    def _of_text(self, text: str, score: float) -> list[Attribute]:
        found: list[Attribute] = []

        def shape(match: re.Match[str]) -> str:
            """Note a measure or model that is no word of the dictionary, and blank a measure."""
            kind, surface = match.lastgroup, match.group()
            if kind is None or surface in self._known:
                return surface
            found.append(_shaped(kind, surface, score))
            return surface if kind == "model" else _BLANK

        attributes = self._in_title if score == TITLE_SCORE else self._in_description
        rest = _padded(SHAPES.sub(shape, text))
        return [
            attributes[pattern] for pattern, _, _ in self._automaton.find_matches_as_indexes(rest)
        ] + found


def _beginning(text: str, characters: int) -> str:
    """At most so many characters, without a token that this would cut."""
    if len(text) <= characters:
        return text
    return text[: text.rfind(" ", 0, characters + 1) + 1].rstrip()


def _padded(text: str) -> str:
    """Two spaces between tokens and one around: neighbours can both match with their borders."""
    return f" {text.replace(' ', '  ')} "


def _of_value(category: int, value: str) -> tuple[Attribute, ...]:
    return tuple(
        Attribute(category, word, text, Source.FIELD, FIELD_SCORE)
        for word, text in words_of(value, category)
    )


def _shaped(kind: str, surface: str, score: float) -> Attribute:
    return Attribute(_SHAPE_CATEGORY[kind], canonical(surface), surface, Source.DICTIONARY, score)


def _once(found: Iterable[Attribute]) -> tuple[Attribute, ...]:
    first: dict[tuple[int, str], Attribute] = {}
    for attribute in found:
        key = (attribute.category, attribute.word)
        earlier = first.setdefault(key, attribute)
        if earlier.score == FIELD_SCORE and attribute.score == TITLE_SCORE:
            first[key] = msgspec.structs.replace(earlier, score=CONFIRMED_SCORE)
    return tuple(first.values())[:ATTRIBUTES_OF_AN_ITEM]
