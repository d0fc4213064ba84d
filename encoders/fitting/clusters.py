"""Cluster words without a language model: by how they are spelled and what they occur with.

A word's vector has three parts, each of length one:
    spelling   hashed TF-IDF of the character n-grams, reduced
    context    hashed TF-IDF of the frequent words of the same items, reduced
    category   one dimension for each of the 18

So a typo lies near its word, a synonym near what it is sold with, and a word of another category
far away.

k-means alone puts similar words together, so items that differ in nothing else would share an
identifier: two cartridges of one printer have similar model numbers. Therefore each word, in order
of the items that it represents, goes to that of its nearest centers where fewest of those items
meet an item with the same words at all other positions; of equal centers, to the nearest.

Needs scikit-learn (extra `fit`).
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
# The most frequent words are the contexts; rarer ones say little about each other.
_CONTEXTS = 4096


def word_vectors(words: Sequence[CodebookWord], occurrences: Occurrences, seed: int) -> Vectors:
    """Return a vector for each word; shape (words, dimensions)."""
    category = np.zeros((len(words), len(CATEGORIES)), dtype=np.float32)
    category[np.arange(len(words)), [word.category for word in words]] = 1
    parts = (_spelling_vectors(words, seed), _context_vectors(words, occurrences, seed), category)
    return np.ascontiguousarray(np.hstack(parts), dtype=np.float32)


def _spelling_vectors(words: Sequence[CodebookWord], seed: int) -> Vectors:
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


def _context_vectors(words: Sequence[CodebookWord], occurrences: Occurrences, seed: int) -> Vectors:
    number = {key: place for place, key in enumerate(occurrences.words)}
    columns = [number[word.category, word.word] for word in words]
    items = np.bincount(occurrences.place, minlength=len(occurrences.words))
    # Stable: of equal counts the word that occurred first.
    contexts = np.argsort(-items, kind="stable")[:_CONTEXTS]
    has = csr_matrix(
        (np.ones(len(occurrences.place), dtype=np.float32), occurrences.place, occurrences.starts),
        shape=(occurrences.items, len(occurrences.words)),
    ).tocsc()
    return _reduced((has[:, columns].T @ has[:, contexts]).tocsr(), seed)


def _reduced(rows: csr_matrix, seed: int) -> Vectors:
    weighed = TfidfTransformer(sublinear_tf=True).fit_transform(rows)
    return np.asarray(normalize(reduce(weighed, _DIMENSIONS, seed)), dtype=np.float32)


# How many centers a word may choose from; nearly all words take one of the first few.
NEAREST = 64
_CHUNK = 1024


def assign_clusters(
    vectors: Vectors, centers: Vectors, others: Sequence[NDArray[np.uint64]]
) -> list[int]:
    """Return the cluster of each word.

    `others`: for each word, a hash of the other positions of each item that it represents.
    """
    nearest = np.concatenate(list(_nearest(vectors, centers)))
    taken: defaultdict[int, set[int]] = defaultdict(set)
    cluster = [0] * len(vectors)
    for word in sorted(range(len(vectors)), key=lambda word: (-len(others[word]), word)):
        own = set(others[word].tolist())
        # min returns the first of equal centers, which is the nearest.
        chosen = min(nearest[word].tolist(), key=lambda near: len(own & taken[near]))
        taken[chosen] |= own
        cluster[word] = chosen
    return cluster


def _nearest(vectors: Vectors, centers: Vectors) -> Iterator[NDArray[np.int64]]:
    """Yield the nearest centers of each vector, nearest first."""
    norms = (centers**2).sum(axis=1)
    for start in range(0, len(vectors), _CHUNK):
        distances = norms - 2 * vectors[start : start + _CHUNK] @ centers.T
        yield np.argsort(distances, axis=1, kind="stable")[:, :NEAREST]
