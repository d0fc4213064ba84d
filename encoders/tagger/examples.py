"""Batches of labelled titles for torch, every round a little different."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kae.encoders.tagger.labelled import Title, Value
from kae.encoders.tagger.pieces import SHAPES, Pieces, Reading
from kae.encoders.tagger.varied import Variations
from kae.encoders.tagger.weights import Kind

BATCH = 32
NO_LABEL = -100

_HELD_BACK = 0.08  # of the words, in each round
_MASK = "[MASK]"


@dataclass(frozen=True, slots=True)
class Batch:
    pieces: Tensor
    shapes: Tensor
    present: Tensor
    labels: Tensor


class Examples:
    """Each round's batches; texts of one length come together, so that little is padded."""

    def __init__(
        self, titles: Sequence[Title], kinds: Sequence[Kind], vocabulary: Sequence[str], seed: int
    ) -> None:
        self._titles = titles
        self._labels = {kind.name: number for number, kind in enumerate(kinds, start=1)}
        self._pieces = Pieces(vocabulary)
        self._mask = vocabulary.index(_MASK)
        self._variations = Variations(titles, seed)
        self._random = random.Random(seed)
        self.steps = math.ceil(len(titles) / BATCH)  # of a round

    def batches(self) -> Iterator[Batch]:
        varied = [self._variations.vary(title) for title in self._titles]
        read = [(self._pieces.read(text), values) for text, values in varied]
        self._random.shuffle(read)
        pool = BATCH * 16
        batches = [
            pooled[begin : begin + BATCH]
            for start in range(0, len(read), pool)
            for pooled in [sorted(read[start : start + pool], key=lambda one: len(one[0].pieces))]
            for begin in range(0, len(pooled), BATCH)
        ]
        self._random.shuffle(batches)
        for batch in batches:
            yield self._padded(batch)

    def _padded(self, batch: Sequence[tuple[Reading, list[Value]]]) -> Batch:
        shape = (len(batch), max(len(reading.pieces) for reading, _ in batch))
        pieces = torch.zeros(shape, dtype=torch.long)
        shapes = torch.full(shape, SHAPES - 1)
        present = torch.zeros(shape, dtype=torch.long)
        labels = torch.full(shape, NO_LABEL)
        for row, (reading, values) in enumerate(batch):
            length = len(reading.pieces)
            pieces[row, :length] = torch.tensor(self._held_back(reading))
            shapes[row, :length] = torch.tensor(reading.shapes)
            present[row, :length] = 1
            labels[row, list(reading.firsts)] = torch.tensor(self._labels_of(reading, values))
        return Batch(pieces, shapes, present, labels)

    def _labels_of(self, reading: Reading, values: Sequence[Value]) -> list[int]:
        labels = [0] * len(reading.words)
        for value in values:
            within = [
                number
                for number, (begin, end) in enumerate(reading.words)
                if begin < value.end and end > value.begin
            ]
            for number in within:
                goes_on = len(self._labels) if number > within[0] else 0
                labels[number] = self._labels[value.kind] + goes_on
        return labels

    def _held_back(self, reading: Reading) -> list[int]:
        """The pieces, those of some words masked; signs stay."""
        pieces = list(reading.pieces)
        ends = (*reading.firsts[1:], len(pieces) - 1)
        for first, end in zip(reading.firsts, ends, strict=True):
            is_sign = reading.shapes[first] < 4
            if not is_sign and self._random.random() < _HELD_BACK:
                pieces[first:end] = [self._mask] * (end - first)
        return pieces
