"""Searches texts for a codebook's words, and for measures, model numbers and numbers.

One Aho-Corasick automaton finds the words: leftmost-longest matches at token boundaries, without
overlaps. Measures and model numbers are recognised by their shape; a measure that the dictionary
does not list is not searched for words. A number without a unit counts in a title, where it is
often all that distinguishes two items, but not in a description. The texts of many items are joined
and searched at once: each search releases the interpreter's lock, and reacquiring it costs more
than searching one title.
"""

from collections.abc import Iterable, Iterator, Sequence

from ahocorasick_rs import AhoCorasick, MatchKind

from kae.encoders.bounded import BoundedCache
from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.codebook.codebook import CodebookWord
from kae.encoders.extraction.mentions import DESCRIPTION_SCORE, TITLE_SCORE, Mention, RankOf
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
# Titles and descriptions alternate: the parity of a text's number says which it is.
_SCORES = (TITLE_SCORE, DESCRIPTION_SCORE)
# Replaces a measure where words are searched: no word contains it. Like END it is ASCII: in ASCII
# text the automaton's byte offsets are character offsets.
_BLANK = "\1"


class _Shape:
    """What the letters and digits of a token, or of a number with its unit, say about it."""

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
    """An automaton over the words of a codebook's dictionary."""

    def __init__(self, words: Sequence[CodebookWord], rank: RankOf) -> None:
        self._rank = rank
        self._known = frozenset(word.word for word in words)
        self._shapes = BoundedCache[str, _Shape | None](self._shape_of)
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
        """Yield for each text its words in order, then its measures, models and numbers.

        `tokens` are those of a title, a description, a title and so on, with END after each;
        measures in `tokens` are blanked in place.
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
        """Find what has a shape and is not in the dictionary, by the number of its text."""
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
    """Join with two spaces between tokens and one around, so that neighbours share no boundary."""
    return f" {'  '.join(tokens)} "
