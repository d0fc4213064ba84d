"""Slots as tokens of a model's vocabulary: the capacities of the positions in a row, after a base.

    base = 50,265, capacities 2,058, 2,058, 1,034, ...
    position 0  tokens 50,265 .. 52,322
    position 1  tokens 52,323 .. 54,380
    position 2  tokens 54,381 .. 55,414, and so on

A reserved slot has a token like any other, so a word that is bound later needs no new token.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from kae.encoders.codebook.codebook import Codebook


@dataclass(frozen=True)
class TokenLayout:
    """`base` is the size of the vocabulary without slots: the token of slot 0 of position 0."""

    base: int
    capacities: tuple[int, ...]

    @staticmethod
    def of(codebook: Codebook, base: int) -> "TokenLayout":
        return TokenLayout(base, tuple(group.capacity for group in codebook.groups))

    @property
    def size(self) -> int:
        """The size of the whole vocabulary."""
        return self.base + sum(self.capacities)

    def tokens_of(self, position: int) -> range:
        first = int(self._firsts[position])
        return range(first, first + self.capacities[position])

    def tokens(self, slots: NDArray[np.uint16]) -> NDArray[np.int64]:
        """Return the token of each slot; shape (prefixes, depth), a column for each position."""
        return slots + self._firsts[: slots.shape[1]]

    def slots(self, tokens: NDArray[np.int64]) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        """Return the slots of token prefixes, and which prefixes are valid.

        Shape: (n, depth) -> (n, depth), (n,). A prefix is invalid when a token is not a slot of its
        position; its slots are then arbitrary.
        """
        depth = tokens.shape[1]
        slots = np.ascontiguousarray(tokens.T) - self._firsts[:depth, None]
        inside = (slots >= 0) & (slots < self._sizes[:depth, None])
        valid = np.logical_and.reduce(inside, axis=0)
        return np.where(valid, slots, 0).astype(np.uint16).T, valid

    @cached_property
    def _sizes(self) -> NDArray[np.int64]:
        return np.array(self.capacities)

    @cached_property
    def _firsts(self) -> NDArray[np.int64]:
        return np.array([*accumulate(self.capacities[:-1], initial=self.base)])
