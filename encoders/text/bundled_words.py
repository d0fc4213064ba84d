"""The bundled word lists: words with their categories, and stop words (see data/README.md)."""

from functools import cache
from importlib.resources import files

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.text.spelling import token_spelling_key

# The first list that has a word gives its category.
_LISTS = ("common.tsv", "colors.tsv", "shopify.tsv", "brands.tsv")


@cache
def bundled_words() -> dict[str, int]:
    """Return the category of each bundled word."""
    categories: dict[str, int] = {}
    for name in _LISTS:
        for category, word in _rows(name):
            categories.setdefault(word, CATEGORY_INDEX[category])
    return categories


@cache
def stop_words() -> frozenset[str]:
    """Return the stop words of several languages: no keyword begins or ends with one."""
    return frozenset(_text("stopwords.txt").split())


def color_family(color: str) -> str:
    """Return the basic colour that a colour is a shade of, or "".

    The last token with a family decides: "navy" and "dark navy" are blue, "blue green" is green.
    """
    families = _families()
    found = (families.get(token_spelling_key(token), "") for token in reversed(color.split(" ")))
    return next(filter(None, found), "")


@cache
def _families() -> dict[str, str]:
    return {token_spelling_key(word): family for family, word in _rows("color_families.tsv")}


def _rows(name: str) -> list[list[str]]:
    return [line.split("\t") for line in _text(name).splitlines()[1:]]


def _text(name: str) -> str:
    return (files("kae.encoders") / "data" / name).read_text(encoding="utf-8")
