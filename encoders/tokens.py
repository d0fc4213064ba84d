"""Slots as tokens of a model's vocabulary: the positions' capacities laid end to end after a base.

    base = 50,265, capacities 2,058, 2,058, 1,034, ...
    position 0  tokens 50,265 .. 52,322
    position 1  tokens 52,323 .. 54,380
    position 2  tokens 54,381 .. 55,414, and so on

A reserved slot has a token like any other, so a word that is bound later needs no new one.
"""

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.encoders.codebook import Codebook


@dataclass(frozen=True, slots=True)
class TokenLayout:
    """`base` is the size of the vocabulary without slots: the token of slot 0 of position 0."""

    base: int
    capacities: tuple[int, ...]

    @staticmethod
    def of(codebook: Codebook, base: int) -> "TokenLayout":
        return TokenLayout(base, tuple(group.capacity for group in codebook.groups))

    @property
    def size(self) -> int:
        """Of the whole vocabulary."""
        return self.base + sum(self.capacities)

    def tokens_of(self, position: int) -> range:
        first = [*accumulate(self.capacities, initial=self.base)]
        return range(first[position], first[position + 1])

    def tokens(self, slots: NDArray[np.uint16]) -> NDArray[np.int64]:
        """(prefixes, depth): the token of each slot, one position a column."""
        return slots + self._firsts[: slots.shape[1]]

    def slots(self, tokens: NDArray[np.int64]) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        """The prefixes (n, depth) that tokens say, and of each whether it says one.

        It does not when a token is no slot of its position; its slots are then any.
        """
        depth = tokens.shape[1]
        slots = tokens - self._firsts[:depth]
        inside = (slots >= 0) & (slots < np.array(self.capacities[:depth]))
        valid: NDArray[np.bool_] = np.all(inside, axis=1)
        return np.where(valid[:, None], slots, 0).astype(np.uint16), valid

    @property
    def _firsts(self) -> NDArray[np.int64]:
        return np.array([self.tokens_of(position).start for position in range(POSITIONS)])
