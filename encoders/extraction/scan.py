"""Searching texts for a codebook's words, and for measures, model numbers and numbers.

Words are found by one Aho-Corasick automaton: the leftmost, longest ones, at token boundaries, none
inside another. A measure or a model number is known by its shape; a measure that is no word of the
dictionary itself is searched for no words. A number without a unit counts in a title, where it is
often all that tells two items apart, and not in a description. The texts of many items are searched
as one: each search lets go of the interpreter's lock, and getting it back costs more than the
search of one title.
"""

from collections.abc import Iterable, Iterator, Sequence

from ahocorasick_rs import AhoCorasick, MatchKind

from kae.encoders.bounded import Bounded
from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.codebook.codebook import CodebookWord
from kae.encoders.extraction.mentions import DESCRIPTION_SCORE, TITLE_SCORE, Mention, Ranks
from kae.encoders.items import Attribute, AttributeSource
from kae.encoders.text.measures import (
    canonical,
    is_bare_number,
    is_measure,
    is_model,
    is_part_number,
    unit_after,
)
from kae.encoders.text.normal_form import END

_SPECIFICATION = CATEGORY_INDEX["specification"]
_MODEL = CATEGORY_INDEX["model"]
# Titles and descriptions take turns: by the parity of a text's number.
_SCORES = (TITLE_SCORE, DESCRIPTION_SCORE)
# Stands for a measure where words are searched: none contains it. Of ASCII, as END is, for which
# the automaton finds places without counting characters.
_BLANK = "\1"


class _Shape:
    """What a token, or a number with its unit, is by its letters and digits alone."""

    __slots__ = ("category", "found", "is_measure", "is_number", "surface")

    def __init__(
        self, surface: str, category: int, *, is_measure: bool = False, is_number: bool = False
    ) -> None:
        self.surface = surface
        self.category = category
        self.is_measure = is_measure
        self.is_number = is_number  # a measure if a unit follows it
        self.found: list[Mention | None] = [None, None]


class Scanner:
    """The dictionary of a codebook, ready to be searched for in texts."""

    def __init__(self, words: Sequence[CodebookWord], rank: Ranks) -> None:
        self._rank = rank
        self._known = frozenset(word.word for word in words)
        self._shapes = Bounded[str, _Shape | None](self._shape_of)
        self._automaton = AhoCorasick(
            [*(_spaced(word.word.split(" ")) for word in words), END],
            matchkind=MatchKind.LeftmostLongest,
        )
        self._end = len(words)
        self._in_texts = [
            [self._in_text(word.category, word.word, word.word, score) for word in words]
            for score in _SCORES
        ]

    def search(self, tokens: list[str]) -> Iterator[list[Mention]]:
        """For each text its words in their order, then its measures, models and numbers.

        `tokens` are those of a title, a description, a title and so on, with END after each; the
        measures among them are blanked.
        """
        shapes = self._find_shapes(tokens)
        matches = self._automaton.find_matches_as_indexes(_spaced(tokens))
        words = [match[0] for match in matches]
        start = number = 0
        while start < len(words):
            end = words.index(self._end, start)
            in_text = self._in_texts[number & 1]
            found = [in_text[word] for word in words[start:end]]
            if number in shapes:
                found += shapes[number]
            yield found
            start, number = end + 1, number + 1

    def _find_shapes(self, tokens: list[str]) -> dict[int, list[Mention]]:
        """What is no word of the dictionary and has a shape, by the number of its text."""
        found: dict[int, list[Mention]] = {}
        shapes, number = self._shapes, 0
        others = [place for place, token in enumerate(tokens) if not token.isalpha()]
        for place in others:
            token = tokens[place]
            if token == END:
                number += 1
                continue
            shape = shapes[token]
            if shape is None:
                continue
            end = place + 1
            if shape.is_number:
                of_unit = unit_after(tokens, place)
                if of_unit:
                    end += of_unit
                    shape = shapes[" ".join(tokens[place:end])]
                    if shape is None:
                        continue
                elif number & 1:
                    continue
            if shape.is_measure:
                tokens[place:end] = [_BLANK] * (end - place)
            one = shape.found[number & 1] or self._shaped(shape, number & 1)
            if number in found:
                found[number].append(one)
            else:
                found[number] = [one]
        return found

    def _shape_of(self, surface: str) -> _Shape | None:
        if is_bare_number(surface):
            category = _MODEL if is_part_number(surface) else _SPECIFICATION
            return _Shape(surface, category, is_number=True)
        measure = is_measure(surface)
        if surface in self._known or not (measure or is_model(surface)):
            return None
        return _Shape(surface, _SPECIFICATION if measure else _MODEL, is_measure=measure)

    def _shaped(self, shape: _Shape, parity: int) -> Mention:
        word = canonical(shape.surface)
        found = self._in_text(shape.category, word, shape.surface, _SCORES[parity])
        shape.found[parity] = found
        return found

    def _in_text(self, category: int, word: str, surface: str, score: float) -> Mention:
        return Mention(
            Attribute(category, word, surface, AttributeSource.DICTIONARY, score), self._rank
        )


def _spaced(tokens: Iterable[str]) -> str:
    """With two spaces between tokens and one around, so that neighbours both have their borders."""
    return f" {'  '.join(tokens)} "
