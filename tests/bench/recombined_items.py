"""Many items made of a real catalog's own words: as large as a benchmark asks for, and as skewed.

An item takes the word of its first position from a real item, drawn at random, and the words of
each other position from a real item with that same first word, drawn for each position apart: so
words occur as often as they do in the catalog, and beside what they occur with there. One position
in `STRAYS` is drawn from the whole catalog instead, so that combinations nobody sells come up too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import CATEGORY_INDEX, POSITIONS
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Item

STRAYS = 20

Identifiers = NDArray[np.uint16]  # (items, 6)


class CatalogShape(msgspec.Struct, frozen=True):
    """How identifiers are spread; `shape_of` says how each figure is found.

    degrees: of each depth, the children of a prefix: mean, p99, most. collisions: the share of
    items whose identifier another item has too.
    """

    items: int
    identifiers: int
    collisions: float
    bits: float  # entropy of the identifiers
    bits_of_position: list[float]
    prefixes: list[int]
    degrees: list[tuple[float, int, int]]


@dataclass(frozen=True, slots=True)
class Recombination:
    """A real catalog, encoded, from which items are recombined."""

    codebook: Codebook
    items: Sequence[Item]
    own: Identifiers

    @staticmethod
    def of(codebook: Codebook, items: Sequence[Item]) -> "Recombination":
        encoded = Encoder(codebook).encode_all(items)
        return Recombination(codebook, items, np.array([e.identifier for e in encoded], np.uint16))

    def donors(self, seed: int, count: int) -> NDArray[np.int64]:
        """(count, 6): the number of the real item that gives each position its words."""
        rng = np.random.default_rng(seed)
        by_first = np.argsort(self.own[:, 0], kind="stable")
        rising = self.own[by_first, 0]
        donors = np.empty((count, POSITIONS), np.int64)
        donors[:, 0] = rng.integers(0, len(self.own), count)
        first_words = self.own[donors[:, 0], 0]
        begin = np.searchsorted(rising, first_words, "left")
        sizes = np.searchsorted(rising, first_words, "right") - begin
        for position in range(1, POSITIONS):
            alike = by_first[begin + (rng.random(count) * sizes).astype(np.int64)]
            strays = rng.integers(0, STRAYS, count) == 0
            anyone = rng.integers(0, len(self.own), count)
            donors[:, position] = np.where(strays, anyone, alike)
        return donors

    def identifiers(self, donors: NDArray[np.int64]) -> Identifiers:
        """(items, 6): each position's slot is its donor's."""
        return self.own[donors, np.arange(POSITIONS)]

    def item(self, number: int, donors: NDArray[np.int64]) -> Item:
        """A whole item of one row of donors: their fields by position, their words for a title.

        It is encoded as any item is; for what its title says beside its fields the identifier may
        differ from that of `identifiers`.
        """
        fields: dict[str, str | list[str]] = {}
        title: list[str] = []
        for position, donor in enumerate(donors.tolist()):
            for field, value in self.items[donor].fields.items():
                category = CATEGORY_INDEX.get(self.codebook.fields.get(field, ""))
                if category is not None and self.codebook.position_of(category) == position:
                    fields[field] = value
            head = self.codebook.word_at(position, int(self.own[donor, position]))
            if head is not None:
                title.append(head[1])
        popularity = self.items[int(donors[0])].popularity
        return Item(f"r{number}", " ".join(title), "", fields, popularity)


def identifiers(codebook: Codebook, items: Sequence[Item], seed: int, count: int) -> Identifiers:
    """(count, 6): identifiers recombined from a real catalog's; the same seed gives the same."""
    recombination = Recombination.of(codebook, items)
    return recombination.identifiers(recombination.donors(seed, count))


def shape_of(found: Identifiers) -> CatalogShape:
    """Entropies are in bits; a degree counts the different slots that follow a prefix."""
    order = np.lexsort(found.T[::-1])
    rising = found[order]
    differs = np.zeros(len(rising), np.bool_)
    differs[:1] = True
    prefixes, degrees = [], []
    above = differs.copy()
    for position in range(POSITIONS):
        differs[1:] |= rising[1:, position] != rising[:-1, position]
        counts = np.add.reduceat(differs.astype(np.int64), np.flatnonzero(above))
        degrees.append(
            (round(float(counts.mean()), 2), int(np.percentile(counts, 99)), int(counts.max()))
        )
        prefixes.append(int(differs.sum()))
        above = differs.copy()
    sizes = np.diff(np.append(np.flatnonzero(differs), len(rising)))
    return CatalogShape(
        items=len(found),
        identifiers=len(sizes),
        collisions=round(float(sizes[sizes > 1].sum() / len(found)), 4),
        bits=_bits(sizes),
        bits_of_position=[_bits(np.bincount(found[:, p])) for p in range(POSITIONS)],
        prefixes=prefixes,
        degrees=degrees,
    )


def _bits(counts: NDArray[np.int64]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return round(float(-(shares * np.log2(shares)).sum()), 2)
