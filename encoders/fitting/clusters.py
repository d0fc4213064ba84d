"""Words as vectors, without a model of any language: how they are written, and beside what.

    written   hashed TF-IDF of the character n-grams, reduced
    beside    hashed TF-IDF of the frequent words that the same items have, reduced
    category  one dimension for each of the 18

Each part has length one, so a typo lies near its word, a synonym near what it is sold with, and a
word of another category far. Needs scikit-learn (extra `fit`).

Words of clusters moved to where the items that they stand for meet no other that is like them.

k-means puts words together that are alike, so items that differ in nothing else would share an
identifier: two cartridges of one printer have model numbers that are written alike. Here each word
goes, the ones that stand for most items first, to that of its nearest centers where fewest of its
items meet an item with the same words at all other positions; of equal ones, to the nearest.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.preprocessing import normalize

from kae.encoders.categories import CATEGORIES
from kae.encoders.codebook.codebook import CodebookWord
from kae.encoders.fitting.closed_codebooks import Vectors, reduce
from kae.encoders.groups.occurrences import Occurrences

_DIMENSIONS = 48
_NGRAMS = (1, 4)
_HASHED_NGRAMS = 1 << 16
# The words that tell contexts apart; rarer ones say little of each other.
_CONTEXTS = 4096


def word_vectors(words: Sequence[CodebookWord], seen: Occurrences, seed: int) -> Vectors:
    """A row a word."""
    category = np.zeros((len(words), len(CATEGORIES)), dtype=np.float32)
    category[np.arange(len(words)), [word.category for word in words]] = 1
    parts = (_written(words, seed), _beside(words, seen, seed), category)
    return np.ascontiguousarray(np.hstack(parts), dtype=np.float32)


def _written(words: Sequence[CodebookWord], seed: int) -> Vectors:
    hashing = HashingVectorizer(
        n_features=_HASHED_NGRAMS,
        analyzer="char_wb",
        ngram_range=_NGRAMS,
        lowercase=False,
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
    )
    return _reduced(hashing.transform(word.word for word in words), seed)


def _beside(words: Sequence[CodebookWord], seen: Occurrences, seed: int) -> Vectors:
    number = {key: place for place, key in enumerate(seen.words)}
    columns = [number[word.category, word.word] for word in words]
    items = np.bincount(seen.place, minlength=len(seen.words))
    # Of equal counts the word that was met first.
    contexts = np.argsort(-items, kind="stable")[:_CONTEXTS]
    has = csr_matrix(
        (np.ones(len(seen.place), dtype=np.float32), seen.place, seen.starts),
        shape=(seen.items, len(seen.words)),
    ).tocsc()
    return _reduced((has[:, columns].T @ has[:, contexts]).tocsr(), seed)


def _reduced(rows: csr_matrix, seed: int) -> Vectors:
    weighed = TfidfTransformer(sublinear_tf=True).fit_transform(rows)
    return np.asarray(normalize(reduce(weighed, _DIMENSIONS, seed)), dtype=np.float32)


# Tried until a word meets nobody: nearly all words stay at one of the first few.
NEAREST = 64
_CHUNK = 1024


def assign_clusters(
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
