"""What each position would hold for each item if every word had a slot of its own.

It follows the order of encoding (extraction/assign.py) on arrays instead of items: the first word
by that order represents a category of an item, and the first of its categories represents a group.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import CATEGORIES
from kae.encoders.extraction.assign import rank_spellings
from kae.encoders.groups.information import entropy
from kae.encoders.groups.occurrences import Occurrences
from kae.encoders.vocabulary.vocabulary import Vocabulary

# The order of "no word": greater than that of every word.
_NOTHING = np.iinfo(np.int64).max
_TRUST_SHIFT = 40
_SPELLING = (1 << _TRUST_SHIFT) - 1
# Odd, so that multiplying by it is a bijection.
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
RepresentativeWords = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Representatives:
    """For each position, how many words could represent items, and their information."""

    spellings: tuple[int, ...]
    information: tuple[float, ...]  # entropy of the representative or none, in bits


class RepresentativeTable:
    """The representative word of each category of each item."""

    def __init__(self, occurrences: Occurrences, vocabulary: Vocabulary) -> None:
        self._spelling = vocabulary.spelling
        spelled = [vocabulary.spelling(*word) for word in occurrences.words]
        self._rarity = rank_spellings(zip(spelled, occurrences.counts.tolist(), strict=True))
        self._spelling_of_word = np.array(
            [self._rarity[spelling] for spelling in spelled], dtype=np.int64
        )
        self._category_of_word = occurrences.categories()
        order = occurrences.trust_ranks.astype(np.int64) << _TRUST_SHIFT
        order |= self._spelling_of_word[occurrences.place]
        self._first = np.full((len(CATEGORIES), occurrences.items), _NOTHING, dtype=np.int64)
        item_of, category_of = occurrences.item_of(), self._category_of_word[occurrences.place]
        for category, first in enumerate(self._first):
            of_category = category_of == category
            np.minimum.at(first, item_of[of_category], order[of_category])

    @property
    def numbers(self) -> int:
        """One more than the largest spelling number."""
        return len(self._rarity) + 1

    def number_of(self, category: int, word: str) -> int:
        """Return the number of a word's spelling, from 1."""
        return self._rarity[self._spelling(category, word)] + 1

    def representatives(self, categories: Sequence[int]) -> RepresentativeWords:
        """Return for each item the number of the spelling that represents a group; 0 for none."""
        first = self._first[list(categories)].min(axis=0)
        return np.where(first == _NOTHING, 0, (first & _SPELLING) + 1)

    def spellings(self, categories: Sequence[int]) -> int:
        """Return how many spellings a group has, including those that represent no item."""
        own = np.isin(self._category_of_word, list(categories))
        return len(np.unique(self._spelling_of_word[own]))

    def summarise(self, groups: Sequence[Sequence[int]]) -> Representatives:
        """Return the representatives of groups of categories."""
        return Representatives(
            tuple(map(self.spellings, groups)),
            tuple(entropy_of(self.representatives(categories)) for categories in groups),
        )


def entropy_of(values: NDArray[np.integer]) -> float:
    """Return the entropy of a column of values, in bits."""
    _, counts = np.unique(values, return_counts=True)
    return entropy((counts / len(values)).tolist())


def hash_rows(columns: Sequence[NDArray[np.integer]]) -> NDArray[np.uint64]:
    """Return a hash of each row of values, so that rows can be compared as numbers."""
    rows = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        rows = (rows + column.astype(np.uint64) + np.uint64(1)) * _MULTIPLIER
        rows ^= rows >> np.uint64(29)
    return rows
