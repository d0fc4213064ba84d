"""What stands at each position of the items while slots are being given.

A position says a spelling until its slots are settled, and then a slot.

Fit a whole codebook to a catalog: dictionary, groups, capacities, solo and cluster slots.

    groups    group_fit.py; or the declared ones as they are
    solo      the words that get most attention, the popularity of their items together, each on a
              slot of its own with its aliases; of a feed without it, those that most items have
    cluster   all others, by k-means over what they look like and occur with (word_vectors.py), and
              of the nearest clusters in the one that tells most items apart (apart.py)

Every word that an item of the catalog has gets a slot. The same items in the same order, with the
same seed, give the same bytes. Needs scikit-learn (extra `fit`).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.codebook.codebook import Codebook, CodebookWord
from kae.encoders.fitting.build import number, order_spellings
from kae.encoders.fitting.closed_codebooks import nearest_centers
from kae.encoders.fitting.clusters import assign_clusters, word_vectors
from kae.encoders.groups.fit import FittedGroups
from kae.encoders.groups.occurrences import Occurrences
from kae.encoders.groups.representatives import mixed
from kae.encoders.tagger.weights import TaggerSource


class AssignedWords:
    """The representatives of the sampled items, position by position."""

    def __init__(self, fitted: FittedGroups) -> None:
        self._said = [
            fitted.table.said([CATEGORY_INDEX[name] for name in group.categories])
            for group in fitted.groups
        ]
        self._table = fitted.table

    def beside(
        self, position: int, spellings: Sequence[Sequence[CodebookWord]]
    ) -> list[NDArray[np.uint64]]:
        """For each spelling, what the other positions say of the items that it stands for there."""
        mine = self._said[position]
        others = mixed([said for place, said in enumerate(self._said) if place != position])
        order = np.argsort(mine, kind="stable")
        numbers = [self._table.number_of(words[0].category, words[0].word) for words in spellings]
        starts = np.searchsorted(mine[order], numbers)
        ends = np.searchsorted(mine[order], numbers, side="right")
        return [others[order[start:end]] for start, end in zip(starts, ends, strict=True)]

    def settle(self, position: int, words: Iterable[CodebookWord]) -> None:
        """Say the slots of a position from now on."""
        slots = np.zeros(self._table.numbers, dtype=np.int64)
        for word in words:
            slots[self._table.number_of(word.category, word.word)] = word.index
        self._said[position] = slots[self._said[position]]


# Of a position whose words do not all fit, how many of its slots are solo, as in the paper.
SOLO_SHARE = 0.5
Spellings = list[list[CodebookWord]]


def fit_codebook(
    fitted: FittedGroups,
    fields: Mapping[str, str],
    seed: int,
    progress: Callable[[int], None] | None = None,
    tagger: TaggerSource | None = None,
) -> Codebook:
    """Give every word that was observed a slot; `tagger` is the one that they were observed with.

    `progress` is told how many positions are done.
    """
    seen = fitted.occurrences
    by_position = order_spellings(seen.counted(), fitted.groups, fitted.vocabulary, seen.attended())
    standing = AssignedWords(fitted)
    words: list[CodebookWord] = []
    solo_slots: list[int] = []
    for position, (group, spellings) in enumerate(zip(fitted.groups, by_position, strict=True)):
        slots = group.capacity - group.reserved - 1
        solo = slots if len(spellings) <= slots else max(1, int(slots * SOLO_SHARE))
        solo_slots.append(solo)
        of_position = [*number(spellings[:solo])]
        tail = spellings[solo:]
        if tail:
            others = standing.beside(position, tail)
            of_position += _clusters(tail, slots - solo, solo + 1, seen, seed + position, others)
        standing.settle(position, of_position)
        words += of_position
        if progress:
            progress(position + 1)
    return Codebook(fitted.groups, dict(fields), words, seen.catalog_items, solo_slots, tagger)


def _clusters(
    tail: Spellings,
    slots: int,
    first: int,
    seen: Occurrences,
    seed: int,
    others: Sequence[NDArray[np.uint64]],
) -> Iterator[CodebookWord]:
    """The words of the tail on cluster slots, numbered by the items that they have together."""
    weights = np.array([_items(spelling) for spelling in tail], dtype=np.float64)
    vectors = word_vectors([spelling[0] for spelling in tail], seen, seed)
    _, centers = nearest_centers(vectors, slots, seed, weights)
    labels = assign_clusters(vectors, centers, others)
    alike = [
        sorted(words, key=lambda word: (-word.items, word.category, word.word))
        for words in _gathered(tail, labels, slots)
    ]
    alike.sort(key=lambda words: (-_items(words), words[0].category, words[0].word))
    return number(alike, first)


def _gathered(tail: Spellings, labels: Sequence[int], slots: int) -> list[list[CodebookWord]]:
    """The words of each cluster; slots that clustering left over go to the most frequent alone."""
    members = Counter(labels)
    left_over = slots - len(members)
    clusters: defaultdict[int, list[CodebookWord]] = defaultdict(list)
    alone: list[list[CodebookWord]] = []
    for label, spelling in zip(labels, tail, strict=True):
        if len(alone) < left_over and members[label] > 1:
            members[label] -= 1
            alone.append(spelling)
        else:
            clusters[label] += spelling
    return [*clusters.values(), *alone]


def _items(words: Sequence[CodebookWord]) -> int:
    return sum(word.items for word in words)
