"""Titles made from titles: other values in the same places, other case, words held back.

What a network sees once a round, each time a little different, it cannot learn by heart; it has to
learn from the words around a value that it is one.

Batches of labelled titles for torch, every round a little different; and of hinted ones.
"""

import math
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kae.encoders.tagger.hints import Hinted, LabelledSpan
from kae.encoders.tagger.labelled import Title, Value
from kae.encoders.tagger.pieces import SHAPES, Pieces, Reading
from kae.encoders.tagger.weights import ValueKind

_SWAPPED = 0.25
_LOWER, _UPPER = 0.04, 0.04


class Variations:
    """Draws variations of titles; the values of one type and kind are taken for each other."""

    def __init__(self, titles: Sequence[Title], seed: int) -> None:
        self._random = random.Random(seed)
        self._texts: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for title in titles:
            for value in title.values:
                text = title.text[value.begin : value.end]
                self._texts[title.product_type, value.kind].append(text)

    def vary(self, title: Title) -> tuple[str, list[Value]]:
        """A text like the title's, and where its values stand."""
        text, taken_to = "", 0
        values: list[Value] = []
        for value in title.values:
            surface = title.text[value.begin : value.end]
            if self._random.random() < _SWAPPED:
                surface = self._random.choice(self._texts[title.product_type, value.kind])
            text += title.text[taken_to : value.begin]
            values.append(Value(len(text), len(text) + len(surface), value.kind))
            text += surface
            taken_to = value.end
        return self._in_other_case(text + title.text[taken_to:]), values

    def _in_other_case(self, text: str) -> str:
        drawn = self._random.random()
        if drawn < _LOWER:
            other = text.lower()
        elif drawn < _LOWER + _UPPER:
            other = text.upper()
        else:
            return text
        # Some letters have more than one capital: places would move.
        return other if len(other) == len(text) else text


BATCH = 32
NO_LABEL = -100
_HELD_BACK = 0.08  # of the words, in each round
_MASK = "[MASK]"


@dataclass(frozen=True, slots=True)
class PaddedTexts:
    pieces: Tensor
    shapes: Tensor
    present: Tensor


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """Texts of which every word's label is known."""

    texts: PaddedTexts
    labels: Tensor


@dataclass(frozen=True, slots=True)
class HintedBatch:
    """Texts of which less is known.

    Shape: allowed (texts, pieces, labels): the labels that a piece may have.
    """

    texts: PaddedTexts
    allowed: Tensor


class Examples:
    """Each round's batches; texts of one length come together, so that little is padded."""

    def __init__(
        self,
        titles: Sequence[Title],
        kinds: Sequence[ValueKind],
        vocabulary: Sequence[str],
        seed: int,
    ) -> None:
        self._titles = titles
        self._labels = {kind.name: number for number, kind in enumerate(kinds, start=1)}
        self._pieces = Pieces(vocabulary)
        self._variations = Variations(titles, seed)
        self._random = random.Random(seed)
        self._padding = Padding(vocabulary, self._random)
        self.steps = math.ceil(len(titles) / BATCH)  # of a round

    def batches(self) -> Iterator[TrainingBatch]:
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
            yield self._batch(batch)

    def _batch(self, batch: Sequence[tuple[Reading, list[Value]]]) -> TrainingBatch:
        texts = self._padding.padded([reading for reading, _ in batch])
        labels = torch.full(texts.pieces.shape, NO_LABEL)
        for row, (reading, values) in enumerate(batch):
            labels[row, list(reading.firsts)] = torch.tensor(self._labels_of(reading, values))
        return TrainingBatch(texts, labels)

    def _labels_of(self, reading: Reading, values: Sequence[Value]) -> list[int]:
        labels = [0] * len(reading.words)
        for value in values:
            within = _words_within(reading, value.begin, value.end)
            for number in within:
                goes_on = len(self._labels) if number > within[0] else 0
                labels[number] = self._labels[value.kind] + goes_on
        return labels


class Hints:
    """Batches of titles that a catalog has marked, drawn again and again; none without titles."""

    def __init__(
        self,
        titles: Sequence[Hinted],
        kinds: Sequence[ValueKind],
        vocabulary: Sequence[str],
        seed: int,
    ) -> None:
        pieces = Pieces(vocabulary)
        self._read = [(pieces.read(title.text), title.marks) for title in titles]
        self._categories = [kind.category for kind in kinds]
        self._random = random.Random(seed)
        self._padding = Padding(vocabulary, self._random)

    def __bool__(self) -> bool:
        return bool(self._read)

    def draw(self) -> HintedBatch:
        drawn = self._random.choices(self._read, k=BATCH)
        texts = self._padding.padded([reading for reading, _ in drawn])
        labels = 1 + 2 * len(self._categories)
        allowed = torch.ones((*texts.pieces.shape, labels), dtype=torch.bool)
        for row, (reading, marks) in enumerate(drawn):
            allowed[row, list(reading.firsts)] = self._allowed(reading, marks)
        return HintedBatch(texts, allowed)

    def _allowed(self, reading: Reading, marks: Sequence[LabelledSpan]) -> Tensor:
        """Shape: (words, labels)."""
        marked = {mark.category for mark in marks}
        none = torch.tensor([category in marked for category in self._categories])
        outside = torch.cat([torch.tensor([True]), ~none, ~none])
        allowed = outside.repeat(len(reading.words), 1)
        for mark in marks:
            of_category = torch.tensor([one == mark.category for one in self._categories])
            nowhere = torch.zeros_like(of_category)
            for place, number in enumerate(_words_within(reading, mark.begin, mark.end)):
                parts = (nowhere, of_category) if place else (of_category, nowhere)
                allowed[number] = torch.cat([torch.tensor([False]), *parts])
        return allowed


class Padding:
    """Readings side by side, the pieces of some words masked; signs stay."""

    def __init__(self, vocabulary: Sequence[str], drawn: random.Random) -> None:
        self._mask = vocabulary.index(_MASK)
        self._random = drawn

    def padded(self, readings: Sequence[Reading]) -> PaddedTexts:
        shape = (len(readings), max(len(reading.pieces) for reading in readings))
        pieces = torch.zeros(shape, dtype=torch.long)
        shapes = torch.full(shape, SHAPES - 1)
        present = torch.zeros(shape, dtype=torch.long)
        for row, reading in enumerate(readings):
            length = len(reading.pieces)
            pieces[row, :length] = torch.tensor(self._held_back(reading))
            shapes[row, :length] = torch.tensor(reading.shapes)
            present[row, :length] = 1
        return PaddedTexts(pieces, shapes, present)

    def _held_back(self, reading: Reading) -> list[int]:
        """The pieces, those of some words masked."""
        pieces = list(reading.pieces)
        ends = (*reading.firsts[1:], len(pieces) - 1)
        for first, end in zip(reading.firsts, ends, strict=True):
            is_sign = reading.shapes[first] < 4
            if not is_sign and self._random.random() < _HELD_BACK:
                pieces[first:end] = [self._mask] * (end - first)
        return pieces


def _words_within(reading: Reading, begin: int, end: int) -> list[int]:
    """The numbers of the words that a part of the text touches."""
    return [
        number
        for number, (word_begin, word_end) in enumerate(reading.words)
        if word_begin < end and word_end > begin
    ]
