"""The bundled vocabularies: typed words that titles may contain (see data/README.md)."""

from functools import cache
from importlib.resources import files

from kae.encoders.categories import CATEGORY_INDEX

# In order of trust: of two that list a word, the first gives its category.
_LISTS = ("common.tsv", "colors.tsv", "shopify.tsv", "brands.tsv")


@cache
def vocabulary() -> dict[str, int]:
    """Category of each bundled word."""
    categories: dict[str, int] = {}
    for name in _LISTS:
        for line in _text(name).splitlines()[1:]:
            category, word = line.split("\t")
            categories.setdefault(word, CATEGORY_INDEX[category])
    return categories


@cache
def stop_words() -> frozenset[str]:
    """Words of grammar, of several languages: no keyword begins or ends with one."""
    return frozenset(_text("stopwords.txt").split())


def _text(name: str) -> str:
    return (files("kae.encoders") / "data" / name).read_text(encoding="utf-8")
