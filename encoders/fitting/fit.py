"""Fit a whole codebook to a catalog: dictionary, groups, capacities, solo and cluster slots.

    groups    fitted (groups/fit.py), or the declared ones
    solo      the words with the most attention, the summed popularity of their items, get a slot
              each, shared with their aliases; without popularity, the words that most items have
    cluster   all other words, by k-means over spelling and context, then moved to where they
              keep the most items apart (clusters.py)

Every word that an item of the catalog has gets a slot. The same items in the same order, with the
same seed, give the same bytes. Needs scikit-learn (extra `fit`).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.codebook.codebook import Codebook, CodebookWord
from kae.encoders.fitting.build import group_spellings, number_slots
from kae.encoders.fitting.closed_codebooks import nearest_centers
from kae.encoders.fitting.clusters import assign_clusters, word_vectors
from kae.encoders.groups.fit import FittedGroups
from kae.encoders.groups.occurrences import Occurrences
from kae.encoders.groups.representatives import hash_rows
from kae.encoders.tagger.weights import TaggerSource


class AssignedWords:
    """What each position of the sampled items holds: a spelling, or a slot once assigned."""

    def __init__(self, fitted: FittedGroups) -> None:
        self._columns = [
            fitted.table.representatives([CATEGORY_INDEX[name] for name in group.categories])
            for group in fitted.groups
        ]
        self._table = fitted.table

    def hash_other_positions(
        self, position: int, spellings: Sequence[Sequence[CodebookWord]]
    ) -> list[NDArray[np.uint64]]:
        """Return for each spelling a hash of the other positions of each item it represents."""
        own = self._columns[position]
        others = hash_rows(
            [column for place, column in enumerate(self._columns) if place != position]
        )
        order = np.argsort(own, kind="stable")
        numbers = [self._table.number_of(words[0].category, words[0].word) for words in spellings]
        starts = np.searchsorted(own[order], numbers)
        ends = np.searchsorted(own[order], numbers, side="right")
        return [others[order[start:end]] for start, end in zip(starts, ends, strict=True)]

    def assign_slots(self, position: int, words: Iterable[CodebookWord]) -> None:
        """Replace the spellings of a position by the slots of its words."""
        slots = np.zeros(self._table.numbers, dtype=np.int64)
        for word in words:
            slots[self._table.number_of(word.category, word.word)] = word.index
        self._columns[position] = slots[self._columns[position]]


# The share of solo slots in a position whose words do not all fit, as in the paper.
SOLO_SHARE = 0.5
Spellings = list[list[CodebookWord]]


def fit_codebook(
    fitted: FittedGroups,
    fields: Mapping[str, str],
    seed: int,
    progress: Callable[[int], None] | None = None,
    tagger: TaggerSource | None = None,
) -> Codebook:
    """Give every observed word a slot; `tagger` is the one that they were observed with.

    `progress` is called with the number of positions done.
    """
    occurrences = fitted.occurrences
    by_position = group_spellings(
        occurrences.items_by_word(),
        fitted.groups,
        fitted.vocabulary,
        occurrences.attention_by_word(),
    )
    assigned = AssignedWords(fitted)
    words: list[CodebookWord] = []
    solo_slots: list[int] = []
    for position, (group, spellings) in enumerate(zip(fitted.groups, by_position, strict=True)):
        slots = group.capacity - group.reserved - 1
        solo = slots if len(spellings) <= slots else max(1, int(slots * SOLO_SHARE))
        solo_slots.append(solo)
        of_position = [*number_slots(spellings[:solo])]
        tail = spellings[solo:]
        if tail:
            others = assigned.hash_other_positions(position, tail)
            of_position += _clusters(
                tail, slots - solo, solo + 1, occurrences, seed + position, others
            )
        assigned.assign_slots(position, of_position)
        words += of_position
        if progress:
            progress(position + 1)
    return Codebook(
        fitted.groups,
        dict(fields),
        words,
        occurrences.catalog_items,
        solo_slots,
        tagger,
        fitted.vocabulary.form,
    )


def _clusters(
    tail: Spellings,
    slots: int,
    first: int,
    occurrences: Occurrences,
    seed: int,
    others: Sequence[NDArray[np.uint64]],
) -> Iterator[CodebookWord]:
    """Yield the words of the tail on cluster slots, numbered by the items of the clusters."""
    weights = np.array([_items(spelling) for spelling in tail], dtype=np.float64)
    vectors = word_vectors([spelling[0] for spelling in tail], occurrences, seed)
    _, centers = nearest_centers(vectors, slots, seed, weights)
    labels = assign_clusters(vectors, centers, others)
    alike = [
        sorted(words, key=lambda word: (-word.items, word.category, word.word))
        for words in _words_of_clusters(tail, labels, slots)
    ]
    alike.sort(key=lambda words: (-_items(words), words[0].category, words[0].word))
    return number_slots(alike, first)


def _words_of_clusters(
    tail: Spellings, labels: Sequence[int], slots: int
) -> list[list[CodebookWord]]:
    """Return the words of each cluster; unused slots go to the most frequent words alone."""
    members = Counter(labels)
    unused = slots - len(members)
    clusters: defaultdict[int, list[CodebookWord]] = defaultdict(list)
    alone: list[list[CodebookWord]] = []
    for label, spelling in zip(labels, tail, strict=True):
        if len(alone) < unused and members[label] > 1:
            members[label] -= 1
            alone.append(spelling)
        else:
            clusters[label] += spelling
    return [*clusters.values(), *alone]


def _items(words: Sequence[CodebookWord]) -> int:
    return sum(word.items for word in words)
