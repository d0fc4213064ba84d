"""Fit a whole codebook to a catalog: dictionary, groups, capacities, solo and cluster slots.

    groups    group_fit.py; or the declared ones as they are
    solo      the words that get most attention, the popularity of their items together, each on a
              slot of its own with its aliases; of a feed without it, those that most items have
    cluster   all others, by k-means over what they look like and occur with (word_vectors.py), and
              of the nearest clusters in the one that tells most items apart (apart.py)

Every word that an item of the catalog has gets a slot. The same items in the same order, with the
same seed, give the same bytes. Needs scikit-learn (extra `fit`).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kae.encoders.apart import placed_apart
from kae.encoders.build import number, order_spellings
from kae.encoders.closed_codebooks import nearest_centers
from kae.encoders.codebook import Codebook, Word
from kae.encoders.group_fit import FittedGroups
from kae.encoders.occurrences import Occurrences
from kae.encoders.standing import Standing
from kae.encoders.tagger.weights import AtHand
from kae.encoders.word_vectors import word_vectors

# Of a position whose words do not all fit, how many of its slots are solo, as in the paper.
SOLO_SHARE = 0.5

Spellings = list[list[Word]]


def fit_codebook(
    fitted: FittedGroups,
    fields: Mapping[str, str],
    seed: int,
    progress: Callable[[int], None] | None = None,
    tagger: AtHand | None = None,
) -> Codebook:
    """Give every word that was observed a slot; `tagger` is the one that they were observed with.

    `progress` is told how many positions are done.
    """
    seen = fitted.occurrences
    by_position = order_spellings(seen.counted(), fitted.groups, fitted.vocabulary, seen.attended())
    standing = Standing(fitted)
    words: list[Word] = []
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
) -> Iterator[Word]:
    """The words of the tail on cluster slots, numbered by the items that they have together."""
    weights = np.array([_items(spelling) for spelling in tail], dtype=np.float64)
    vectors = word_vectors([spelling[0] for spelling in tail], seen, seed)
    _, centers = nearest_centers(vectors, slots, seed, weights)
    labels = placed_apart(vectors, centers, others)
    alike = [
        sorted(words, key=lambda word: (-word.items, word.category, word.word))
        for words in _gathered(tail, labels, slots)
    ]
    alike.sort(key=lambda words: (-_items(words), words[0].category, words[0].word))
    return number(alike, first)


def _gathered(tail: Spellings, labels: Sequence[int], slots: int) -> list[list[Word]]:
    """The words of each cluster; slots that clustering left over go to the most frequent alone."""
    members = Counter(labels)
    left_over = slots - len(members)
    clusters: defaultdict[int, list[Word]] = defaultdict(list)
    alone: list[list[Word]] = []
    for label, spelling in zip(labels, tail, strict=True):
        if len(alone) < left_over and members[label] > 1:
            members[label] -= 1
            alone.append(spelling)
        else:
            clusters[label] += spelling
    return [*clusters.values(), *alone]


def _items(words: Sequence[Word]) -> int:
    return sum(word.items for word in words)
