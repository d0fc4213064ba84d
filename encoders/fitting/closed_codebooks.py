"""Closed codebooks, to compare with: codes are learned from texts, and no word can be bound.

    titles -> hashed TF-IDF -> truncated SVD -> residual k-means, a level a position

Needs scikit-learn (extra `fit`). One thread computes, so that sums are added in one order.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.cluster import MiniBatchKMeans
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

Vectors = NDArray[np.float32]
DIMENSIONS = 128
_HASHED_TOKENS = 1 << 17
_BATCH = 4096


def embed(titles: Sequence[str], seed: int) -> Vectors:
    """Titles in normal form as vectors; a row an item."""
    hashing = HashingVectorizer(
        n_features=_HASHED_TOKENS,
        analyzer=str.split,
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
    )
    weighed = TfidfTransformer().fit_transform(hashing.transform(titles))
    return reduce(weighed, DIMENSIONS, seed)


def reduce(rows: csr_matrix, dimensions: int, seed: int) -> Vectors:
    """Sparse rows in as few dimensions, by a truncated singular value decomposition."""
    kept = max(1, min(dimensions, rows.shape[0] - 1))
    with threadpool_limits(1):
        left, values, _ = randomized_svd(rows, kept, random_state=seed)
    return np.ascontiguousarray(left * values, dtype=np.float32)


def residual_kmeans(
    vectors: Vectors,
    capacities: Sequence[int],
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.int32]:
    """Codes of each item: of its vector, then of what the code before leaves over.

    `progress` is told how many levels are done.
    """
    codes = np.zeros((len(vectors), len(capacities)), dtype=np.int32)
    residual = vectors.copy()
    for level, capacity in enumerate(capacities):
        codes[:, level], centers = nearest_centers(residual, capacity, seed + level)
        residual -= centers[codes[:, level]]
        if progress:
            progress(level + 1)
    return codes


def nearest_centers(
    vectors: Vectors, most: int, seed: int, weights: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.int32], Vectors]:
    """The cluster of each vector, and the centers; no more clusters than different vectors."""
    different, cluster = np.unique(vectors, axis=0, return_inverse=True)
    if len(different) <= most:
        return cluster.reshape(-1).astype(np.int32), different
    clustering = MiniBatchKMeans(
        most, random_state=seed, batch_size=max(_BATCH, most), n_init=1, max_iter=20
    )
    with threadpool_limits(1):
        labels = clustering.fit_predict(vectors, sample_weight=weights)
    return labels.astype(np.int32), clustering.cluster_centers_.astype(np.float32)
