"""The meaning of a feed's field names, in a dozen languages (data/field_names.tsv).

"hauptFarbe"       ->  color, by its part "hauptfarbe": a compound that ends in "farbe"
"Color principal"  ->  color, by its part "color"
"color_code"       ->  none: a code is not a word
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from kae.encoders.text.normal_form import is_unspaced, normalise

ROLES = ("id", "title", "description", "popularity", "revision")
NONE = "none"
_HUMP = re.compile(r"(?<=[a-zà-ÿ0-9])(?=[A-ZÀ-Þ])")
# The prefix of a namespace, as in "g:title" of Google's feeds.
_PREFIX = re.compile(r"^[a-z]{1,2}:(?=\S)", re.IGNORECASE)
# A language, perhaps with a region and then a sales channel: "name-de_DE-ecommerce". Norwegian (no)
# and Indonesian (id) are left out, since names end with these words.
_LOCALE = re.compile(
    r"(?P<name>.*?[^\W_])[-_ .:@(\[]+"
    r"(?P<language>ar|bg|cs|da|de|el|en|es|et|fi|fr|he|hr|hu|it|ja|ko|lt|lv|nb|nl|pl|pt|ro|ru|sk|sl|"
    r"sr|sv|th|tr|uk|vi|zh)(?:[-_][a-z]{2}(?:[-_.]\w+)?)?[)\]]?",
    re.IGNORECASE,
)
_LOCALISED_ROLES = ("title", "description")
# German also writes ä as ae.
_UMLAUTS = (("ae", "a"), ("oe", "o"), ("ue", "u"))
# Shorter words would be found inside unrelated ones.
_COMPOUND_LETTERS = 5


@dataclass(frozen=True, slots=True)
class NameMeaning:
    """What a name means: a category or NONE, and the listed name that says so.

    `whole`: the name is the listed one, instead of containing it.
    """

    meaning: str
    listed: str
    whole: bool


def role_rank(name: str, role: str) -> int | None:
    """Return how well a column's name fits a role, 0 best; None if it does not."""
    roles = _table().roles
    places = [(role, spelling) for spelling in _spellings(_folded(name))]
    rank = min((roles[place] for place in places if place in roles), default=None)
    localised = _LOCALE.fullmatch(name) if role in _LOCALISED_ROLES else None
    if rank is not None or localised is None:
        return rank
    # After the names that are listed as they stand.
    rank = role_rank(localised["name"], role)
    return None if rank is None else rank + len(roles)


def language_of(name: str) -> str | None:
    """Return the language that a column's name ends with: "de" of "name-de_DE"."""
    localised = _LOCALE.fullmatch(name)
    return localised["language"].lower() if localised else None


def meaning_of(name: str) -> NameMeaning | None:
    """Return what a field's name means: the whole name, else its head, else the rest."""
    tokens = _folded(name)
    table = _table()
    for spelling in _spellings(tokens):
        if spelling in table.whole:
            return NameMeaning(table.whole[spelling], spelling, True)
    # "product colour", "商品サイズ": most languages end with the head.
    found = _longest(tokens[start:] for start in range(1, len(tokens)))
    if found is None and tokens:
        found = _compound(tokens[-1])
    # "color principal", "marca del producto": some begin with it.
    return found or _longest(tokens[:end] for end in range(len(tokens) - 1, 0, -1))


@dataclass(frozen=True, slots=True)
class _Table:
    roles: dict[tuple[str, str], int]
    whole: dict[str, str]
    parts: dict[str, str]


@cache
def _table() -> _Table:
    table = _Table({}, {}, {})
    text = (files("kae.encoders") / "data" / "field_names.tsv").read_text(encoding="utf-8")
    for line in text.splitlines()[1:]:
        meaning, match, name = line.split("\t")
        spelling = " ".join(_folded(name))
        if meaning in ROLES:
            table.roles.setdefault((meaning, spelling), len(table.roles))
            continue
        # A name that is listed both as a category and as NONE has the category.
        if table.whole.get(spelling, NONE) == NONE:
            table.whole[spelling] = meaning
            if match == "part":
                table.parts[spelling] = meaning
    return table


def _longest(candidates: Iterable[list[str]]) -> NameMeaning | None:
    parts = _table().parts
    for tokens in candidates:
        for spelling in _spellings(tokens):
            if spelling in parts and not _is_letter(spelling):
                return NameMeaning(parts[spelling], spelling, False)
    return None


def _compound(token: str) -> NameMeaning | None:
    """Find a listed name at the end of a compound, which is its head in German and Dutch."""
    parts = _table().parts
    for spelling in _umlauts(token):
        for start in range(1, len(spelling) - _COMPOUND_LETTERS + 1):
            if spelling[start:] in parts:
                return NameMeaning(parts[spelling[start:]], spelling[start:], False)
    return None


def _folded(name: str) -> list[str]:
    """Split a name into tokens, camel case too, and remove accents."""
    text = normalise(_HUMP.sub(" ", _PREFIX.sub("", name)))
    marked = unicodedata.normalize("NFKD", text)
    bare = "".join(letter for letter in marked if not unicodedata.combining(letter))
    return unicodedata.normalize("NFC", bare).split()


def _spellings(tokens: list[str]) -> list[str]:
    """Return the ways in which the table may spell the tokens: separate and joined."""
    return [*_umlauts(" ".join(tokens)), *_umlauts("".join(tokens))]


def _umlauts(spelling: str) -> list[str]:
    other = spelling
    for two, one in _UMLAUTS:
        other = other.replace(two, one)
    return [spelling] if other == spelling else [spelling, other]


def _is_letter(spelling: str) -> bool:
    """Whether it is one letter of an alphabet, which means nothing; a Chinese character does."""
    return len(spelling) == 1 and not is_unspaced(spelling)
