"""A catalog that is read more than once, with word of how far the reading is.

Which items of a catalog have which words: what fitting looks at, as arrays.

One pass finds the words of every item with the extractor that indexes items, so a category is
present where the index will have a word of it. Every item is counted; the words of a sample are
kept, every first, second, fourth, ... item, so that a catalog of any size fits in memory.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import CATEGORIES, CATEGORY_INDEX, Group
from kae.encoders.codebook.codebook import Codebook, CodebookWord
from kae.encoders.extraction.assign import trust
from kae.encoders.extraction.extract import Extractor
from kae.encoders.extraction.mentions import UNRANKED, Mention
from kae.encoders.extraction.title_reader import title_reader
from kae.encoders.groups.information import Presence
from kae.encoders.items import Item
from kae.encoders.tagger.weights import TaggerSource

_PROGRESS_ITEMS = 1000


class Passes:
    """Passes over the same items in the same order.

    `progress` is told how many items all passes have read, now and then and at each pass's end.
    """

    def __init__(
        self,
        items: Callable[[], Iterable[Item]],
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._items = items
        self._progress = progress
        self._read = 0

    def __iter__(self) -> Iterator[Item]:
        for item in self._items():
            yield item
            self._read += 1
            if self._progress and self._read % _PROGRESS_ITEMS == 0:
                self._progress(self._read)
        if self._progress:
            self._progress(self._read)


BATCH_ITEMS = 512
# Of a larger catalog, at least half as many items are looked at together.
SAMPLED_ITEMS = 500_000
# Above this many words those of the fewest items are forgotten.
COUNTED_WORDS = 4_000_000


@dataclass(frozen=True, slots=True)
class Occurrences:
    """The words of each sampled item: item i has words[place[starts[i] : starts[i + 1]]].

    `counts` says how many of all `catalog_items` have each word, and `attention` what popularity
    those have together; `trust`, beside `place`, how each occurrence is trusted (importance.py).
    """

    words: tuple[tuple[int, str], ...]  # (category, word) in the order in which they were met
    counts: NDArray[np.int64]
    attention: NDArray[np.float64]
    catalog_items: int
    place: NDArray[np.int32]
    trust: NDArray[np.uint8]
    starts: NDArray[np.int64]

    @property
    def items(self) -> int:
        """Those of the sample."""
        return len(self.starts) - 1

    def counted(self) -> dict[tuple[int, str], int]:
        """How many items of the catalog have each (category, word)."""
        return dict(zip(self.words, self.counts.tolist(), strict=True))

    def attended(self) -> dict[tuple[int, str], float]:
        """How much attention each (category, word) gets; of a feed without popularity 0."""
        return dict(zip(self.words, self.attention.tolist(), strict=True))

    def item_of(self) -> NDArray[np.int32]:
        """Beside `place`, the item of each occurrence."""
        return np.repeat(np.arange(self.items, dtype=np.int32), np.diff(self.starts))

    def categories(self) -> NDArray[np.uint8]:
        """The category of each word."""
        return np.fromiter((category for category, _ in self.words), np.uint8, len(self.words))

    def presence(self) -> Presence:
        """Which categories the items have words of."""
        present = self._present().astype(np.int32)
        together = present.T @ present
        return Presence(self.items, tuple(map(tuple, together.tolist())))

    def bits_told(self, category: int) -> float:
        """What naming a word of a category tells of an item on average: log2(items / its items)."""
        counts = self.counts[self.categories() == category]
        told = counts * np.log2(self.catalog_items / np.maximum(counts, 1))
        return float(told.sum() / counts.sum()) if len(counts) else 0.0

    def crowded(self, group: Group) -> float:
        """The share of items with words of several categories of a group: one is represented."""
        members = [CATEGORY_INDEX[name] for name in group.categories]
        several = self._present()[:, members].sum(axis=1) > 1
        return float(several.mean()) if self.items else 0.0

    def _present(self) -> NDArray[np.bool_]:
        present = np.zeros((self.items, len(CATEGORIES)), dtype=np.bool_)
        present[self.item_of(), self.categories()[self.place]] = True
        return present


def observe(
    items: Iterable[Item],
    groups: Sequence[Group],
    fields: Mapping[str, str],
    dictionary: Mapping[str, int],
    tagger: TaggerSource | None = None,
    *,
    most_items: int = SAMPLED_ITEMS,
    most_words: int = COUNTED_WORDS,
) -> Occurrences:
    """Find the words of every item; whichever the groups are.

    A sample of under `most_items` (an even number) is kept, and at most `most_words` are counted.
    """
    scanned = [CodebookWord(category, word, 0, 0, True) for word, category in dictionary.items()]
    codebook = Codebook(groups, dict(fields), scanned, tagger=tagger)
    extractor = Extractor(codebook, reader=title_reader(codebook, lambda _: UNRANKED))
    observing = _Observing(most_items, most_words)
    for batch in batches(items):
        for item, found in zip(batch, extractor.find(batch)[1], strict=True):
            observing.add(found, item.popularity)
    return observing.seen()


def batches(items: Iterable[Item]) -> Iterable[list[Item]]:
    """Items many at a time, as extracting them is cheapest."""
    reading = iter(items)
    while batch := list(islice(reading, BATCH_ITEMS)):
        yield batch


class _Observing:
    """Counts of all items so far, and the words of every `_stride`th."""

    def __init__(self, most_items: int, most_words: int) -> None:
        self._most_items, self._most_words = most_items, most_words
        self._places: dict[tuple[int, str], int] = {}
        self._counts, self._attention = array("q"), array("d")
        self._items = 0
        self._stride = 1
        self._place, self._trust, self._starts = array("i"), array("B"), array("q", [0])

    def add(self, found: Sequence[Mention], popularity: float) -> None:
        places, counts, attention = self._places, self._counts, self._attention
        is_sampled = self._items % self._stride == 0
        for one in found:
            key = (one.attribute.category, one.attribute.word)
            place = places.setdefault(key, len(places))
            if place == len(counts):
                counts.append(0)
                attention.append(0.0)
            counts[place] += 1
            attention[place] += popularity
            if is_sampled:
                self._place.append(place)
                self._trust.append(trust(one.attribute))
        self._items += 1
        if is_sampled:
            self._starts.append(len(self._place))
            if len(self._starts) > self._most_items:
                self._stride *= 2
                starts = np.frombuffer(self._starts, np.int64)
                self._keep(np.repeat(np.arange(len(starts) - 1) % 2 == 0, np.diff(starts)), 2)
        if len(places) > self._most_words:
            self._forget_the_rarest()

    def seen(self) -> Occurrences:
        return Occurrences(
            tuple(self._places),
            np.array(self._counts, np.int64),
            np.array(self._attention, np.float64),
            self._items,
            np.array(self._place, np.int32),
            np.array(self._trust, np.uint8),
            np.array(self._starts, np.int64),
        )

    def _forget_the_rarest(self) -> None:
        """Keep the more frequent half at most, under new numbers."""
        counts = np.array(self._counts, np.int64)
        kept = counts > np.median(counts)
        number = (np.cumsum(kept) - 1).astype(np.int32)
        self._places = {
            key: place
            for place, key in enumerate(
                key for key, stays in zip(self._places, kept.tolist(), strict=True) if stays
            )
        }
        self._counts = array("q", counts[kept].tobytes())
        attention = np.array(self._attention, np.float64)
        self._attention = array("d", attention[kept].tobytes())
        stays = kept[np.array(self._place, np.int32)]
        self._keep(stays, 1)
        place = np.array(self._place, np.int32)
        self._place = array("i", number[place].tobytes())

    def _keep(self, stays: NDArray[np.bool_], every: int) -> None:
        """Keep some occurrences, and the boundaries of every so many items."""
        before = np.concatenate(([0], np.cumsum(stays)))
        starts = before[np.array(self._starts, np.int64)]
        place, trusted = np.array(self._place, np.int32), np.array(self._trust, np.uint8)
        self._place = array("i", place[stays].tobytes())
        self._trust = array("B", trusted[stays].tobytes())
        # An item that is left out is empty now, so its end is the next one's beginning.
        self._starts = array("q", starts[::every].tobytes())
