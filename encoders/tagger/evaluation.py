"""How good found values are: precision, recall and F1 of exact texts, for each category."""

from collections import Counter
from collections.abc import Iterable

import msgspec

FoundTexts = frozenset[tuple[str, str]]
# The categories that selectors are mostly written with: one that is rare counts as much here.
MACRO = ("brand", "color", "material", "audience", "specification", "model", "series")


class CategoryScores(msgspec.Struct, frozen=True):
    """`wanted` counts the values that people found."""

    wanted: int
    precision: float
    recall: float
    f1: float


class TaggerScores(msgspec.Struct, frozen=True):
    """The whole, and each category; macro_f1 is the mean over MACRO."""

    titles: int
    micro: CategoryScores
    macro_f1: float
    categories: dict[str, CategoryScores]


def evaluate_values(pairs: Iterable[tuple[FoundTexts, FoundTexts]]) -> TaggerScores:
    """Compare what was found with what is wanted, both as (category, text), title by title."""
    right: Counter[str] = Counter()
    found: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    titles = 0
    for has, gold in pairs:
        titles += 1
        right.update(category for category, _ in has & gold)
        found.update(category for category, _ in has)
        wanted.update(category for category, _ in gold)
    categories = {
        category: _scores(right[category], found[category], wanted[category])
        for category in sorted(found.keys() | wanted.keys())
    }
    macro = [categories[category].f1 for category in MACRO if category in categories]
    return TaggerScores(
        titles,
        _scores(right.total(), found.total(), wanted.total()),
        round(sum(macro) / max(len(macro), 1), 4),
        categories,
    )


def _scores(right: int, found: int, wanted: int) -> CategoryScores:
    return CategoryScores(
        wanted,
        round(right / max(found, 1), 4),
        round(right / max(wanted, 1), 4),
        round(2 * right / max(found + wanted, 1), 4),
    )
