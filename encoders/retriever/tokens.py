"""Samples and queries as tokens of a model.

source   task, slots that are said, text, history, </s>
target   slots of an identifier, or a text and </s>
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.encoders.codebook.tokens import TokenLayout
from kae.encoders.retriever.samples import ABSENT, NO_SLOTS, Sample, Slots
from kae.encoders.retriever.text import END, HISTORY, PAD, TASK_TOKENS, TextTokens

TokenRows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """How much of a source a model reads: tokens of its text, and items of its history."""

    text: int
    history: int

    @property
    def longest(self) -> int:
        """The most tokens of a source: task, slots, text, history and end."""
        return 1 + POSITIONS + self.text + self.history * (1 + POSITIONS) + 1


@dataclass(frozen=True, slots=True)
class TokenPair:
    """One sample as tokens."""

    source: list[int]
    target: list[int]


class SampleTokens:
    """Turns samples into tokens."""

    def __init__(self, texts: TextTokens, layout: TokenLayout, limits: SourceLimits) -> None:
        self.layout = layout
        self._texts = texts
        self._limits = limits
        self._first = [layout.tokens_of(position).start for position in range(POSITIONS)]

    def pieces(self) -> list[str]:
        """The text of each token that is a piece of text or a mark."""
        return [self._texts.decode([token]) for token in range(self.layout.base)]

    def pairs(self, samples: Sequence[Sample]) -> list[TokenPair]:
        sources = self.sources(samples)
        written = self._texts.encode([one.target_text for one in samples])
        targets = [
            [*text[: self._limits.text], END]
            if one.target_slots == NO_SLOTS
            else self._slots(one.target_slots)
            for one, text in zip(samples, written, strict=True)
        ]
        return [TokenPair(*pair) for pair in zip(sources, targets, strict=True)]

    def sources(self, samples: Sequence[Sample]) -> list[list[int]]:
        written = self._texts.encode([one.text for one in samples])
        return [
            [
                TASK_TOKENS[one.task],
                *self._slots(one.slots),
                *text[: self._limits.text],
                *self._history(one.history),
                END,
            ]
            for one, text in zip(samples, written, strict=True)
        ]

    def _slots(self, slots: Slots) -> list[int]:
        pairs = zip(self._first, slots, strict=True)
        return [first + index for first, index in pairs if index != ABSENT]

    def _history(self, history: Sequence[Slots]) -> list[int]:
        read = history[: self._limits.history]
        return [token for slots in read for token in (HISTORY, *self._slots(slots))]


def padded(rows: Sequence[Sequence[int]]) -> TokenRows:
    """The rows as one matrix, filled up with PAD."""
    matrix = np.full((len(rows), max(map(len, rows))), PAD, np.int64)
    for place, row in enumerate(rows):
        matrix[place, : len(row)] = row
    return matrix
