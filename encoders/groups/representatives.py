"""What each position would say of the items if every word had a slot of its own.

As encoding does (assign.py), with arrays in place of items: of the words of an item, the first by
the importance table represents a category, and of its categories, a group.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import CATEGORIES
from kae.encoders.extraction.assign import by_telling
from kae.encoders.groups.information import entropy
from kae.encoders.groups.occurrences import Occurrences
from kae.encoders.vocabulary.vocabulary import Vocabulary

# Beside them nothing is said; above every word's order.
_NOTHING = np.iinfo(np.int64).max
_TRUST_SHIFT = 40
_SPELLING = (1 << _TRUST_SHIFT) - 1
# Odd, so that no bit of a product is lost: identifiers are compared by one number each.
_MIX = np.uint64(0x9E3779B97F4A7C15)
RepresentativeWords = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Representatives:
    """Of each position: the words that could stand for items, and how much they say."""

    spellings: tuple[int, ...]
    information: tuple[float, ...]  # entropy of the representative, the empty one included, in bits


class RepresentativeTable:
    """The first word of each category of each item, by importance."""

    def __init__(self, seen: Occurrences, vocabulary: Vocabulary) -> None:
        self._spelling = vocabulary.spelling
        spelled = [vocabulary.spelling(*word) for word in seen.words]
        self._telling = by_telling(zip(spelled, seen.counts.tolist(), strict=True))
        self._spelling_of_word = np.array(
            [self._telling[spelling] for spelling in spelled], dtype=np.int64
        )
        self._category_of_word = seen.categories()
        order = seen.trust.astype(np.int64) << _TRUST_SHIFT
        order |= self._spelling_of_word[seen.place]
        self._first = np.full((len(CATEGORIES), seen.items), _NOTHING, dtype=np.int64)
        item_of, category_of = seen.item_of(), self._category_of_word[seen.place]
        for category, first in enumerate(self._first):
            of_category = category_of == category
            np.minimum.at(first, item_of[of_category], order[of_category])

    @property
    def numbers(self) -> int:
        """One more than the largest number that a spelling has."""
        return len(self._telling) + 1

    def number_of(self, category: int, word: str) -> int:
        """The number of a word's spelling, from 1."""
        return self._telling[self._spelling(category, word)] + 1

    def said(self, categories: Sequence[int]) -> RepresentativeWords:
        """For each item the number of the spelling that represents a group, from 1; 0 for none."""
        first = self._first[list(categories)].min(axis=0)
        return np.where(first == _NOTHING, 0, (first & _SPELLING) + 1)

    def spellings(self, categories: Sequence[int]) -> int:
        """How many spellings a group has, also those that represent no item."""
        mine = np.isin(self._category_of_word, list(categories))
        return len(np.unique(self._spelling_of_word[mine]))

    def represent(self, groups: Sequence[Sequence[int]]) -> Representatives:
        """What groups of categories would say."""
        return Representatives(
            tuple(map(self.spellings, groups)),
            tuple(bits(self.said(categories)) for categories in groups),
        )


def bits(values: NDArray[np.integer]) -> float:
    """The entropy of what items have, in bits."""
    _, counts = np.unique(values, return_counts=True)
    return entropy((counts / len(values)).tolist())


def mixed(columns: Sequence[NDArray[np.integer]]) -> NDArray[np.uint64]:
    """One number for each row: the same for the same values in the same columns."""
    rows = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        rows = (rows + column.astype(np.uint64) + np.uint64(1)) * _MIX
        rows ^= rows >> np.uint64(29)
    return rows
