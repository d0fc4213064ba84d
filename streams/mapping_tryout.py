"""A mapping tried out: a codebook built from some items with it, and these items encoded."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from kae.encoders.assign import Encoder
from kae.encoders.attributes import Encoded, Item
from kae.encoders.build import build_codebook
from kae.encoders.categories import CATEGORIES, POSITIONS, Group
from kae.encoders.codebook import Codebook

_ATTRIBUTES = 6


class WordShown(msgspec.Struct, frozen=True):
    """One position of the sample item's identifier."""

    group: str
    category: str | None
    word: str | None
    filled_share: float  # of the items, whose identifier has a word here


class SampleItem(msgspec.Struct, frozen=True):
    """An item that has as many positions filled as the median item."""

    id: str
    title: str
    words: tuple[WordShown, ...]


class TriedOut(msgspec.Struct, frozen=True):
    """What a mapping gives."""

    with_attributes: tuple[float, ...]  # shares of the items with at least 1, 2, .. 6 attributes
    expected_positions: float  # filled, of 6, on average
    sample: SampleItem


def try_out(items: Sequence[Item], groups: Sequence[Group], fields: Mapping[str, str]) -> TriedOut:
    """Build a codebook from items and encode them; at least one is needed."""
    with tempfile.TemporaryDirectory(prefix="kae-mapping-") as folder:
        codebook = build_codebook(lambda: items, groups, fields, Path(folder))
    encoder = Encoder(codebook)
    encoded = [encoder.encode(item) for item in items]
    filled = [sum(map(bool, one.identifier)) for one in encoded]
    typical = filled.index(sorted(filled)[len(filled) // 2])
    return TriedOut(
        with_attributes=tuple(
            share(sum(len(one.attributes) >= n for one in encoded), len(items))
            for n in range(1, _ATTRIBUTES + 1)
        ),
        expected_positions=round(sum(filled) / len(items), 2),
        sample=SampleItem(
            items[typical].id,
            items[typical].title,
            tuple(_word(codebook, p, encoded[typical], encoded) for p in range(POSITIONS)),
        ),
    )


def _word(
    codebook: Codebook, position: int, item: Encoded, encoded: Sequence[Encoded]
) -> WordShown:
    head = codebook.word_at(position, item.identifier[position])
    category, word = (CATEGORIES[head[0]], head[1]) if head else (None, None)
    filled = sum(bool(one.identifier[position]) for one in encoded)
    name = codebook.groups[position].name
    return WordShown(name, category, word, share(filled, len(encoded)))


def share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
