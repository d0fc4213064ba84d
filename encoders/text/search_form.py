"""The search form: the normal form with letters folded that people write in several ways.

    İndirim, INDIRIM                indirim
    Προσφορά, ΠΡΟΣΦΟΡΑ              προσφορα
    كِتَاب, كتـــاب                    كتاب
    crème brûlée, Größe, Żółta      creme brulee, grosse, zolta

Items, queries, phrases of selectors and the forms of terms are compared in it, so none is found
under one spelling alone. What people see (titles, terms, history) keeps its letters. Case, width
and the final sigma are folded in the normal form already, as NFKC and casefold say; this adds
accents and points of Latin, Greek, Cyrillic, Arabic, Hebrew and Devanagari, letters with a stroke,
ligatures, the forms of alef, yeh, kaf and teh, and digits of all scripts. A shop keeps the letters
that are other letters in its language (folding.keep of topology.yaml): å in Swedish, й anywhere.
Source: UTR 30, as ICU's and Lucene's foldings carry it out.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from kae.encoders.text.normal_form import (
    NORMALISATION,
    WITHOUT_SIGNS,
    Letters,
    tokens_of,
    tokens_of_all,
)

_SCRIPTS = ("LATIN ", "GREEK ", "CYRILLIC ")
# Letters that Unicode does not decompose.
_LETTERS = {
    **dict(zip("ıłøđðħŧ", "iloddht", strict=True)),
    **dict(zip("أإآٱةىیک", "ااااهييك", strict=True)),
    "æ": "ae",
    "œ": "oe",
    "þ": "th",
    # A letter of its own, whose mark nobody leaves out.
    "й": "й",
}
# Marks that a reader of the language does without, and the tatweel.
_MARKS = (
    (0x0300, 0x036F),  # Latin, Greek, Cyrillic
    (0x0591, 0x05BD),
    (0x05BF, 0x05BF),
    (0x05C1, 0x05C2),
    (0x05C4, 0x05C5),
    (0x05C7, 0x05C7),  # Hebrew
    (0x0610, 0x061A),
    (0x0640, 0x0640),
    (0x064B, 0x065F),
    (0x0670, 0x0670),
    (0x06D6, 0x06DC),
    (0x06DF, 0x06E8),
    (0x06EA, 0x06ED),  # Arabic
    (0x093C, 0x093C),  # Devanagari's nukta
)


@dataclass(frozen=True, slots=True)
class SearchForm:
    """The search form of one codebook.

    `version` is its NORMALISATION: the first one folds nothing. `kept` are letters not folded.
    `decimal_mark`, "." or ",", decides how numbers are read that leave it open.
    """

    kept: str = ""
    version: int = NORMALISATION
    decimal_mark: str = "."

    def normalise(self, text: str) -> str:
        """The search form of a text; that of a normal form is the same."""
        return " ".join(self.tokens_of(text))

    def tokens_of(self, text: str) -> list[str]:
        """The tokens of the search form."""
        return tokens_of(text, self._letters, self.version, self.decimal_mark)

    def tokens_of_all(self, texts: Iterable[str]) -> list[str]:
        """The tokens of many texts, with END after each."""
        return tokens_of_all(texts, self._letters, self.version, self.decimal_mark)

    @property
    def _letters(self) -> Letters | None:
        return None if self.version == WITHOUT_SIGNS else _folded(self.kept)


NEWEST_FORM = SearchForm()


class _Folded(dict[int, str]):
    """What each letter becomes, found when it is first seen."""

    def __init__(self, kept: str) -> None:
        super().__init__()
        self._kept = frozenset(kept)

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        self[code] = folded = letter if letter in self._kept else _fold_letter(letter)
        return folded


@cache
def _folded(kept: str) -> _Folded:
    return _Folded(kept)


def _fold_letter(letter: str) -> str:
    if letter in _LETTERS:
        return _LETTERS[letter]
    code = ord(letter)
    if any(first <= code <= last for first, last in _MARKS):
        return ""
    digit = unicodedata.decimal(letter, None)
    if digit is not None:
        return str(digit)
    base = unicodedata.normalize("NFD", letter)[0]
    if base != letter and unicodedata.name(base, "").startswith(_SCRIPTS):
        return _LETTERS.get(base, base)
    return letter
