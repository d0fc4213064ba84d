"""Words of clusters moved to where the items that they stand for meet no other that is like them.

k-means puts words together that are alike, so items that differ in nothing else would share an
identifier: two cartridges of one printer have model numbers that are written alike. Here each word
goes, the ones that stand for most items first, to that of its nearest centers where fewest of its
items meet an item with the same words at all other positions; of equal ones, to the nearest.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kae.encoders.closed_codebooks import Vectors

# Tried until a word meets nobody: nearly all words stay at one of the first few.
NEAREST = 64
_CHUNK = 1024


def placed_apart(
    vectors: Vectors, centers: Vectors, others: Sequence[NDArray[np.uint64]]
) -> list[int]:
    """The cluster of each word.

    `others`: for each word, what the other positions of the items say that it stands for.
    """
    nearest = np.concatenate(list(_nearest(vectors, centers)))
    taken: defaultdict[int, set[int]] = defaultdict(set)
    cluster = [0] * len(vectors)
    for word in sorted(range(len(vectors)), key=lambda word: (-len(others[word]), word)):
        mine = set(others[word].tolist())
        # min takes the first of those that are equal, and the nearest is the first.
        chosen = min(nearest[word].tolist(), key=lambda near: len(mine & taken[near]))
        taken[chosen] |= mine
        cluster[word] = chosen
    return cluster


def _nearest(vectors: Vectors, centers: Vectors) -> Iterator[NDArray[np.int64]]:
    """The nearest centers of each vector, nearest first."""
    norms = (centers**2).sum(axis=1)
    for start in range(0, len(vectors), _CHUNK):
        distances = norms - 2 * vectors[start : start + _CHUNK] @ centers.T
        yield np.argsort(distances, axis=1, kind="stable")[:, :NEAREST]
