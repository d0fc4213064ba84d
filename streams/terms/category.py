"""The category of a new word, which decides its position: as given, else as the tagger reads it."""

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from kae.encoders.categories import CATEGORIES

if TYPE_CHECKING:
    from kae.encoders.tagger.tagger import Tagger


class CategoryChoice(msgspec.Struct, frozen=True):
    """A category; `by` is given, tagger or default, and `confidence`, 0 to 1, is the tagger's."""

    category: str
    by: str
    confidence: float | None = None

    def describe(self) -> str:
        """The choice on one line."""
        sure = "" if self.confidence is None else f", {self.confidence:.0%} sure"
        return f"{self.category} (by {self.by}{sure})"


def choose_category(word: str, given: str, default: str) -> CategoryChoice:
    """Choose a category; the tagger's counts if it reads the whole word as one value."""
    if given:
        return CategoryChoice(given, "given")
    word = word.strip()
    for value in _tagger().tag([word])[0]:
        if (value.begin, value.end) == (0, len(word)):
            return CategoryChoice(CATEGORIES[value.category], "tagger", round(value.score, 3))
    return CategoryChoice(default, "default")


@lru_cache(maxsize=1)
def _tagger() -> "Tagger":
    # The import loads numpy and the weights, which most commands do not need.
    from kae.encoders.tagger.tagger import Tagger

    return Tagger()
