"""What stands at each position of the items while slots are being given.

A position says a spelling until its slots are settled, and then a slot.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.codebook import Word
from kae.encoders.group_fit import FittedGroups
from kae.encoders.representatives import mixed


class Standing:
    """The representatives of the sampled items, position by position."""

    def __init__(self, fitted: FittedGroups) -> None:
        self._said = [
            fitted.table.said([CATEGORY_INDEX[name] for name in group.categories])
            for group in fitted.groups
        ]
        self._table = fitted.table

    def beside(
        self, position: int, spellings: Sequence[Sequence[Word]]
    ) -> list[NDArray[np.uint64]]:
        """For each spelling, what the other positions say of the items that it stands for there."""
        mine = self._said[position]
        others = mixed([said for place, said in enumerate(self._said) if place != position])
        order = np.argsort(mine, kind="stable")
        numbers = [self._table.number_of(words[0].category, words[0].word) for words in spellings]
        starts = np.searchsorted(mine[order], numbers)
        ends = np.searchsorted(mine[order], numbers, side="right")
        return [others[order[start:end]] for start, end in zip(starts, ends, strict=True)]

    def settle(self, position: int, words: Iterable[Word]) -> None:
        """Say the slots of a position from now on."""
        slots = np.zeros(self._table.numbers, dtype=np.int64)
        for word in words:
            slots[self._table.number_of(word.category, word.word)] = word.index
        self._said[position] = slots[self._said[position]]
