"""Titles made from titles: other values in the same places, other case, words held back.

What a network sees once a round, each time a little different, it cannot learn by heart; it has to
learn from the words around a value that it is one.
"""

import random
from collections import defaultdict
from collections.abc import Sequence

from kae.encoders.tagger.labelled import Title, Value

_SWAPPED = 0.25
_LOWER, _UPPER = 0.04, 0.04


class Variations:
    """Draws variations of titles; the values of one type and kind are taken for each other."""

    def __init__(self, titles: Sequence[Title], seed: int) -> None:
        self._random = random.Random(seed)
        self._texts: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for title in titles:
            for value in title.values:
                text = title.text[value.begin : value.end]
                self._texts[title.product_type, value.kind].append(text)

    def vary(self, title: Title) -> tuple[str, list[Value]]:
        """A text like the title's, and where its values stand."""
        text, taken_to = "", 0
        values: list[Value] = []
        for value in title.values:
            surface = title.text[value.begin : value.end]
            if self._random.random() < _SWAPPED:
                surface = self._random.choice(self._texts[title.product_type, value.kind])
            text += title.text[taken_to : value.begin]
            values.append(Value(len(text), len(text) + len(surface), value.kind))
            text += surface
            taken_to = value.end
        return self._in_other_case(text + title.text[taken_to:]), values

    def _in_other_case(self, text: str) -> str:
        drawn = self._random.random()
        if drawn < _LOWER:
            other = text.lower()
        elif drawn < _LOWER + _UPPER:
            other = text.upper()
        else:
            return text
        # Some letters have more than one capital: places would move.
        return other if len(other) == len(text) else text
