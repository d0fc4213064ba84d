"""Which category, and so which position, a new word gets: as given, else as the tagger reads it."""

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from kae.encoders.categories import CATEGORIES

if TYPE_CHECKING:
    from kae.encoders.tagger.tagger import Tagger


class CategoryChoice(msgspec.Struct, frozen=True):
    """`by` is given, tagger or default; `confidence`, 0 to 1, is the tagger's."""

    category: str
    by: str
    confidence: float | None = None

    def told(self) -> str:
        sure = "" if self.confidence is None else f", {self.confidence:.0%} sure"
        return f"{self.category} (by {self.by}{sure})"


def choose_category(word: str, given: str, default: str) -> CategoryChoice:
    """A reading of the tagger counts if it takes the whole word for one value."""
    if given:
        return CategoryChoice(given, "given")
    word = word.strip()
    for value in _tagger().tag([word])[0]:
        if (value.begin, value.end) == (0, len(word)):
            return CategoryChoice(CATEGORIES[value.category], "tagger", round(value.score, 3))
    return CategoryChoice(default, "default")


@lru_cache(maxsize=1)
def _tagger() -> "Tagger":
    # Numbers and weights are loaded once a word has to be read.
    from kae.encoders.tagger.tagger import Tagger

    return Tagger()
