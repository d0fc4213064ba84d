"""Which items of a catalog have which words, as arrays: the data that fitting works on.

One pass extracts every item as indexing does, so a category is present where the index will have a
word of it. All items are counted. The words of a sample are kept: of all items, then of every
second, every fourth and so on as the catalog grows, so that any catalog fits in memory.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kae.encoders.catalog_reader import batch_items
from kae.encoders.categories import CATEGORIES, CATEGORY_INDEX, Group
from kae.encoders.codebook.codebook import Codebook, CodebookWord
from kae.encoders.extraction.assign import trust_rank
from kae.encoders.extraction.extract import Extractor
from kae.encoders.extraction.mentions import UNRANKED, Mention
from kae.encoders.extraction.title_reader import open_title_reader
from kae.encoders.groups.information import CategoryCooccurrence
from kae.encoders.items import Item
from kae.encoders.tagger.weights import TaggerSource
from kae.encoders.text.search_form import NEWEST_FORM, SearchForm

# The sample never exceeds this, and has at least half as many items once the catalog has.
SAMPLED_ITEMS = 500_000
# Above this many words, those of the fewest items are dropped.
COUNTED_WORDS = 4_000_000


@dataclass(frozen=True, slots=True)
class Occurrences:
    """The words of each sampled item: item i has words[place[starts[i] : starts[i + 1]]].

    `counts`: how many of all `catalog_items` have each word; `attention`: the summed popularity of
    those items; `trust_ranks`: the trust_rank of each occurrence.
    """

    words: tuple[tuple[int, str], ...]  # (category, word) in the order in which they were met
    counts: NDArray[np.int64]
    attention: NDArray[np.float64]
    catalog_items: int
    place: NDArray[np.int32]
    trust_ranks: NDArray[np.uint8]
    starts: NDArray[np.int64]

    @property
    def items(self) -> int:
        """The number of sampled items."""
        return len(self.starts) - 1

    def items_by_word(self) -> dict[tuple[int, str], int]:
        """Return how many items of the catalog have each (category, word)."""
        return dict(zip(self.words, self.counts.tolist(), strict=True))

    def attention_by_word(self) -> dict[tuple[int, str], float]:
        """Return the attention of each (category, word); 0 for a feed without popularity."""
        return dict(zip(self.words, self.attention.tolist(), strict=True))

    def item_of(self) -> NDArray[np.int32]:
        """Return the item of each occurrence, parallel to `place`."""
        return np.repeat(np.arange(self.items, dtype=np.int32), np.diff(self.starts))

    def categories(self) -> NDArray[np.uint8]:
        """Return the category of each word."""
        return np.fromiter((category for category, _ in self.words), np.uint8, len(self.words))

    def cooccurrence(self) -> CategoryCooccurrence:
        """Count the items that have words of each pair of categories."""
        present = self._present().astype(np.int32)
        together = present.T @ present
        return CategoryCooccurrence(self.items, tuple(map(tuple, together.tolist())))

    def mean_bits(self, category: int) -> float:
        """Return the mean information of a category's words: log2(items / items with the word)."""
        counts = self.counts[self.categories() == category]
        total_bits = counts * np.log2(self.catalog_items / np.maximum(counts, 1))
        return float(total_bits.sum() / counts.sum()) if len(counts) else 0.0

    def crowded(self, group: Group) -> float:
        """Return the share of items with words of several categories of a group."""
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
    max_items: int = SAMPLED_ITEMS,
    max_words: int = COUNTED_WORDS,
    form: SearchForm = NEWEST_FORM,
) -> Occurrences:
    """Find the words of every item; the result does not depend on the groups.

    Fewer than `max_items` (an even number) items are sampled; at most `max_words` are counted.
    """
    scanned = [CodebookWord(category, word, 0, 0, True) for word, category in dictionary.items()]
    codebook = Codebook(groups, dict(fields), scanned, tagger=tagger, form=form)
    extractor = Extractor(codebook, reader=open_title_reader(codebook, lambda _: UNRANKED))
    counter = _OccurrenceCounter(max_items, max_words)
    for batch in batch_items(items):
        for item, found in zip(batch, extractor.find(batch)[1], strict=True):
            counter.add(found, item.popularity)
    return counter.result()


class _OccurrenceCounter:
    """Counts all items, and keeps the words of every `_stride`th."""

    def __init__(self, max_items: int, max_words: int) -> None:
        self._max_items, self._max_words = max_items, max_words
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
                self._trust.append(trust_rank(one.attribute))
        self._items += 1
        if is_sampled:
            self._starts.append(len(self._place))
            if len(self._starts) > self._max_items:
                self._stride *= 2
                starts = np.frombuffer(self._starts, np.int64)
                self._keep(np.repeat(np.arange(len(starts) - 1) % 2 == 0, np.diff(starts)), 2)
        if len(places) > self._max_words:
            self._drop_rarest()

    def result(self) -> Occurrences:
        return Occurrences(
            tuple(self._places),
            np.array(self._counts, np.int64),
            np.array(self._attention, np.float64),
            self._items,
            np.array(self._place, np.int32),
            np.array(self._trust, np.uint8),
            np.array(self._starts, np.int64),
        )

    def _drop_rarest(self) -> None:
        """Keep at most the more frequent half of the words, renumbered."""
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
        """Keep some occurrences, and every `every`th item boundary."""
        before = np.concatenate(([0], np.cumsum(stays)))
        starts = before[np.array(self._starts, np.int64)]
        place, trusted = np.array(self._place, np.int32), np.array(self._trust, np.uint8)
        self._place = array("i", place[stays].tobytes())
        self._trust = array("B", trusted[stays].tobytes())
        # A dropped item is empty now, so its end is the start of the next item.
        self._starts = array("q", starts[::every].tobytes())
