"""Titles labelled by people: the training and test data of the tagger.

titles/oa_mine.jsonl holds product titles of ten product types, each with at most one value of a
kind; titles/kinds.json maps kinds to categories. Kinds without a category (container, closure) do
not describe the product and are left out.

A network that sees each title once a round, a little different every time, cannot memorise it and
has to learn from the surrounding words what is a value. So variations swap values for others of
their kind, and change case.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kae.encoders.tagger.weights import ValueKind

_FOLDER = Path(__file__).parent / "titles"


@dataclass(frozen=True, slots=True, order=True)
class LabelledValue:
    """A value of a title, as text[begin:end]."""

    begin: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class LabelledTitle:
    """A labelled title.

    `gold` is the annotation as (category, text); `values` are its places in the text.
    """

    text: str
    product_type: str
    values: tuple[LabelledValue, ...]
    gold: frozenset[tuple[str, str]]


class _Record(msgspec.Struct):
    input: str
    category: str
    target_scores: dict[str, dict[str, float]]


def read_kinds() -> tuple[ValueKind, ...]:
    """Return the kinds that have a category, sorted by name."""
    categories = msgspec.json.decode((_FOLDER / "kinds.json").read_bytes(), type=dict[str, str])
    return tuple(ValueKind(name, category) for name, category in sorted(categories.items()))


def read_titles() -> list[LabelledTitle]:
    """Return all labelled titles, in the order of the file."""
    category_of = {kind.name: kind.category for kind in read_kinds()}
    decoder = msgspec.json.Decoder(_Record)
    titles: list[LabelledTitle] = []
    for line in (_FOLDER / "oa_mine.jsonl").read_bytes().splitlines():
        record = decoder.decode(line)
        named = [
            (kind, value)
            for kind, values in record.target_scores.items()
            if kind in category_of
            for value in values
            if value and value != "n/a"
        ]
        titles.append(
            LabelledTitle(
                record.input,
                record.category,
                tuple(sorted(_located(record.input, named))),
                frozenset((category_of[kind], value) for kind, value in named),
            )
        )
    return titles


def split_folds(
    titles: Sequence[LabelledTitle], folds: int, fold: int, seed: int
) -> tuple[list[LabelledTitle], ...]:
    """Split titles into training and test titles; equal texts stay together."""
    texts = sorted({title.text for title in titles})
    random.Random(seed).shuffle(texts)
    held_back = set(texts[fold::folds])
    return (
        [title for title in titles if title.text not in held_back],
        [title for title in titles if title.text in held_back],
    )


def _located(text: str, named: Iterable[tuple[str, str]]) -> Iterator[LabelledValue]:
    """Yield the place of each value: the last one at word boundaries that no other value takes.

    Values with the fewest places choose first, long ones before short ones.
    """
    candidates = [(list(_places(text, value)), kind) for kind, value in named]
    candidates.sort(key=lambda one: (len(one[0]), -_length(one[0])))
    taken: list[tuple[int, int]] = []
    for places, kind in candidates:
        for begin, end in reversed(places):
            if all(end <= other_begin or begin >= other_end for other_begin, other_end in taken):
                taken.append((begin, end))
                yield LabelledValue(begin, end, kind)
                break


def _length(places: list[tuple[int, int]]) -> int:
    return places[0][1] - places[0][0] if places else 0


def _places(text: str, value: str) -> Iterator[tuple[int, int]]:
    begin = text.find(value)
    while begin >= 0:
        end = begin + len(value)
        if not (_inside_word(text, begin) or _inside_word(text, end)):
            yield begin, end
        begin = text.find(value, begin + 1)


def _inside_word(text: str, place: int) -> bool:
    return 0 < place < len(text) and text[place - 1].isalnum() and text[place].isalnum()


_SWAPPED_SHARE = 0.25
_LOWER_SHARE, _UPPER_SHARE = 0.04, 0.04


class TitleVariations:
    """Draws variations of titles, swapping values of one product type and kind."""

    def __init__(self, titles: Sequence[LabelledTitle], seed: int) -> None:
        self._random = random.Random(seed)
        self._texts: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for title in titles:
            for value in title.values:
                text = title.text[value.begin : value.end]
                self._texts[title.product_type, value.kind].append(text)

    def vary(self, title: LabelledTitle) -> tuple[str, list[LabelledValue]]:
        """Return a variation of the title's text, and the places of its values in it."""
        text, taken_to = "", 0
        values: list[LabelledValue] = []
        for value in title.values:
            surface = title.text[value.begin : value.end]
            if self._random.random() < _SWAPPED_SHARE:
                surface = self._random.choice(self._texts[title.product_type, value.kind])
            text += title.text[taken_to : value.begin]
            values.append(LabelledValue(len(text), len(text) + len(surface), value.kind))
            text += surface
            taken_to = value.end
        return self._in_other_case(text + title.text[taken_to:]), values

    def _in_other_case(self, text: str) -> str:
        drawn = self._random.random()
        if drawn < _LOWER_SHARE:
            other = text.lower()
        elif drawn < _LOWER_SHARE + _UPPER_SHARE:
            other = text.upper()
        else:
            return text
        # Some letters have several capitals, which would shift the places of values.
        return other if len(other) == len(text) else text
