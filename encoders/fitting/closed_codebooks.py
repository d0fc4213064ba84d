"""Closed codebooks as baselines: their codes are learned from titles, so no word can be bound.

    titles -> hashed TF-IDF -> truncated SVD -> residual k-means, one level for each position

Needs scikit-learn (extra `fit`). It runs in one thread, so that sums are added in a fixed order.
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
    """Embed normalised titles; shape (items, dimensions)."""
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
    """Reduce sparse rows to `dimensions` by a truncated singular value decomposition."""
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
    """Quantise vectors level by level, each level the residual of the one before.

    Shape: (items, dimensions) -> (items, levels). `progress` is called with the levels done.
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
    vectors: Vectors, max_clusters: int, seed: int, weights: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.int32], Vectors]:
    """Return the cluster of each vector, and the centers; at most one per distinct vector."""
    distinct, cluster = np.unique(vectors, axis=0, return_inverse=True)
    if len(distinct) <= max_clusters:
        return cluster.reshape(-1).astype(np.int32), distinct
    clustering = MiniBatchKMeans(
        max_clusters, random_state=seed, batch_size=max(_BATCH, max_clusters), n_init=1, max_iter=20
    )
    with threadpool_limits(1):
        labels = clustering.fit_predict(vectors, sample_weight=weights)
    return labels.astype(np.int32), clustering.cluster_centers_.astype(np.float32)
