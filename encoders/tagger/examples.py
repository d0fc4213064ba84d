"""Batches for torch: labelled titles, varied in each round, and hinted ones, with words masked."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kae.encoders.tagger.hints import HintedTitle, HintSpan
from kae.encoders.tagger.labelled import LabelledTitle, LabelledValue, TitleVariations
from kae.encoders.tagger.pieces import SHAPES, PieceTokenizer, TokenizedText
from kae.encoders.tagger.weights import ValueKind

BATCH = 32
NO_LABEL = -100
_MASKED_SHARE = 0.08  # of the words, in each round
_MASK = "[MASK]"


@dataclass(frozen=True, slots=True)
class PaddedTexts:
    pieces: Tensor
    shapes: Tensor
    present: Tensor


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """Texts with a label for every word."""

    texts: PaddedTexts
    labels: Tensor


@dataclass(frozen=True, slots=True)
class HintedBatch:
    """Texts with partial labels.

    Shape: allowed (texts, pieces, labels): whether a piece may have the label.
    """

    texts: PaddedTexts
    allowed: Tensor


class TrainingExamples:
    """Makes the batches of each round; texts of similar length share a batch, to pad little."""

    def __init__(
        self,
        titles: Sequence[LabelledTitle],
        kinds: Sequence[ValueKind],
        vocabulary: Sequence[str],
        seed: int,
    ) -> None:
        self._titles = titles
        self._labels = {kind.name: number for number, kind in enumerate(kinds, start=1)}
        self._pieces = PieceTokenizer(vocabulary)
        self._variations = TitleVariations(titles, seed)
        self._random = random.Random(seed)
        self._padding = BatchPadding(vocabulary, self._random)
        self.steps = math.ceil(len(titles) / BATCH)  # of a round

    def batches(self) -> Iterator[TrainingBatch]:
        varied = [self._variations.vary(title) for title in self._titles]
        read = [(self._pieces.tokenize(text), values) for text, values in varied]
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
            yield self._batch(batch)

    def _batch(self, batch: Sequence[tuple[TokenizedText, list[LabelledValue]]]) -> TrainingBatch:
        texts = self._padding.padded([reading for reading, _ in batch])
        labels = torch.full(texts.pieces.shape, NO_LABEL)
        for row, (reading, values) in enumerate(batch):
            labels[row, list(reading.firsts)] = torch.tensor(self._labels_of(reading, values))
        return TrainingBatch(texts, labels)

    def _labels_of(self, reading: TokenizedText, values: Sequence[LabelledValue]) -> list[int]:
        labels = [0] * len(reading.words)
        for value in values:
            within = _words_within(reading, value.begin, value.end)
            for number in within:
                inside = len(self._labels) if number > within[0] else 0
                labels[number] = self._labels[value.kind] + inside
        return labels


class HintSampler:
    """Draws random batches of hinted titles; falsy without titles."""

    def __init__(
        self,
        titles: Sequence[HintedTitle],
        kinds: Sequence[ValueKind],
        vocabulary: Sequence[str],
        seed: int,
    ) -> None:
        pieces = PieceTokenizer(vocabulary)
        self._texts_read = [(pieces.tokenize(title.text), title.spans) for title in titles]
        self._categories = [kind.category for kind in kinds]
        self._random = random.Random(seed)
        self._padding = BatchPadding(vocabulary, self._random)

    def __bool__(self) -> bool:
        return bool(self._texts_read)

    def draw(self) -> HintedBatch:
        drawn = self._random.choices(self._texts_read, k=BATCH)
        texts = self._padding.padded([reading for reading, _ in drawn])
        labels = 1 + 2 * len(self._categories)
        allowed = torch.ones((*texts.pieces.shape, labels), dtype=torch.bool)
        for row, (reading, spans) in enumerate(drawn):
            allowed[row, list(reading.firsts)] = self._allowed(reading, spans)
        return HintedBatch(texts, allowed)

    def _allowed(self, reading: TokenizedText, spans: Sequence[HintSpan]) -> Tensor:
        """Shape: (words, labels)."""
        marked = {span.category for span in spans}
        none = torch.tensor([category in marked for category in self._categories])
        outside = torch.cat([torch.tensor([True]), ~none, ~none])
        allowed = outside.repeat(len(reading.words), 1)
        for span in spans:
            of_category = torch.tensor([one == span.category for one in self._categories])
            none_allowed = torch.zeros_like(of_category)
            for place, number in enumerate(_words_within(reading, span.begin, span.end)):
                parts = (none_allowed, of_category) if place else (of_category, none_allowed)
                allowed[number] = torch.cat([torch.tensor([False]), *parts])
        return allowed


class BatchPadding:
    """Pads texts to one length and masks some words, but no punctuation."""

    def __init__(self, vocabulary: Sequence[str], drawn: random.Random) -> None:
        self._mask = vocabulary.index(_MASK)
        self._random = drawn

    def padded(self, readings: Sequence[TokenizedText]) -> PaddedTexts:
        shape = (len(readings), max(len(reading.pieces) for reading in readings))
        pieces = torch.zeros(shape, dtype=torch.long)
        shapes = torch.full(shape, SHAPES - 1)
        present = torch.zeros(shape, dtype=torch.long)
        for row, reading in enumerate(readings):
            length = len(reading.pieces)
            pieces[row, :length] = torch.tensor(self._mask_words(reading))
            shapes[row, :length] = torch.tensor(reading.shapes)
            present[row, :length] = 1
        return PaddedTexts(pieces, shapes, present)

    def _mask_words(self, reading: TokenizedText) -> list[int]:
        """Return the pieces, with some words masked."""
        pieces = list(reading.pieces)
        ends = (*reading.firsts[1:], len(pieces) - 1)
        for first, end in zip(reading.firsts, ends, strict=True):
            is_sign = reading.shapes[first] < 4
            if not is_sign and self._random.random() < _MASKED_SHARE:
                pieces[first:end] = [self._mask] * (end - first)
        return pieces


def _words_within(reading: TokenizedText, begin: int, end: int) -> list[int]:
    """Return the numbers of the words that overlap a part of the text."""
    return [
        number
        for number, (word_begin, word_end) in enumerate(reading.words)
        if word_begin < end and word_end > begin
    ]
