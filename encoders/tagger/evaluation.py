"""Precision, recall and F1 of exactly matching values, for each category."""

from collections import Counter
from collections.abc import Iterable

import msgspec

FoundTexts = frozenset[tuple[str, str]]
# The categories that most selectors use; in their mean, rare categories count as much as others.
MACRO = ("brand", "color", "material", "audience", "specification", "model", "series")


class CategoryScores(msgspec.Struct, frozen=True):
    """`wanted` is the number of values that annotators found."""

    wanted: int
    precision: float
    recall: float
    f1: float


class TaggerScores(msgspec.Struct, frozen=True):
    """All categories together, and each one; macro_f1 is the mean over MACRO."""

    titles: int
    micro: CategoryScores
    macro_f1: float
    categories: dict[str, CategoryScores]


def evaluate_values(pairs: Iterable[tuple[FoundTexts, FoundTexts]]) -> TaggerScores:
    """Compare the found values of each title with the wanted ones, as (category, text)."""
    right: Counter[str] = Counter()
    found: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    titles = 0
    for found_texts, wanted_texts in pairs:
        titles += 1
        right.update(category for category, _ in found_texts & wanted_texts)
        found.update(category for category, _ in found_texts)
        wanted.update(category for category, _ in wanted_texts)
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
