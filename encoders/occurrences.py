"""Which items of a catalog have which words: what fitting looks at, as arrays.

One pass finds the words of every item with the extractor that indexes items, so a category is
present where the index will have a word of it.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from kae.encoders.attributes import Item
from kae.encoders.categories import CATEGORIES, CATEGORY_INDEX, Group
from kae.encoders.codebook import Codebook, Word
from kae.encoders.extract import Extractor
from kae.encoders.found import UNRANKED
from kae.encoders.presence import Presence
from kae.encoders.tagger.weights import AtHand
from kae.encoders.title_reader import title_reader

BATCH_ITEMS = 512


@dataclass(frozen=True, slots=True)
class Occurrences:
    """The words of each item: item i has words[place[starts[i] : starts[i + 1]]]."""

    words: tuple[tuple[int, str], ...]  # (category, word) in the order in which they were met
    place: NDArray[np.int32]
    starts: NDArray[np.int64]

    @property
    def items(self) -> int:
        return len(self.starts) - 1

    def counts(self) -> dict[tuple[int, str], int]:
        """How many items have each word."""
        items = np.bincount(self.place, minlength=len(self.words))
        return dict(zip(self.words, items.tolist(), strict=True))

    def presence(self) -> Presence:
        """Which categories the items have words of."""
        present = self._present().astype(np.int64)
        together = present.T @ present
        return Presence(self.items, tuple(map(tuple, together.tolist())))

    def bits_told(self, category: int) -> float:
        """What naming a word of a category tells of an item on average: log2(items / its items)."""
        of_category = [place for place, (c, _) in enumerate(self.words) if c == category]
        counts = np.bincount(self.place, minlength=len(self.words))[of_category]
        told = counts * np.log2(self.items / np.maximum(counts, 1))
        return float(told.sum() / counts.sum()) if len(counts) else 0.0

    def crowded(self, group: Group) -> float:
        """The share of items with words of several categories of a group: one is represented."""
        members = [CATEGORY_INDEX[name] for name in group.categories]
        several = self._present()[:, members].sum(axis=1) > 1
        return float(several.mean()) if self.items else 0.0

    def _present(self) -> NDArray[np.bool_]:
        categories = np.array([category for category, _ in self.words], dtype=np.int64)
        item_of = np.repeat(np.arange(self.items), np.diff(self.starts))
        present = np.zeros((self.items, len(CATEGORIES)), dtype=np.bool_)
        present[item_of, categories[self.place]] = True
        return present


def observe(
    items: Iterable[Item],
    groups: Sequence[Group],
    fields: Mapping[str, str],
    dictionary: Mapping[str, int],
    tagger: AtHand | None = None,
) -> Occurrences:
    """Find the words of every item; whichever the groups are."""
    scanned = [Word(category, word, 0, 0, True) for word, category in dictionary.items()]
    codebook = Codebook(groups, dict(fields), scanned, tagger=tagger)
    extractor = Extractor(codebook, reader=title_reader(codebook, lambda _: UNRANKED))
    places: dict[tuple[int, str], int] = {}
    place, starts = array("i"), array("q", [0])
    for batch in batches(items):
        for found in extractor.find(batch)[1]:
            for one in found:
                key = (one.attribute.category, one.attribute.word)
                place.append(places.setdefault(key, len(places)))
            starts.append(len(place))
    return Occurrences(
        tuple(places), np.frombuffer(place, np.int32), np.frombuffer(starts, np.int64)
    )


def batches(items: Iterable[Item]) -> Iterable[list[Item]]:
    """Items many at a time, as extracting them is cheapest."""
    reading = iter(items)
    while batch := list(islice(reading, BATCH_ITEMS)):
        yield batch
