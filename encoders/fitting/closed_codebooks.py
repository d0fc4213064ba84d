"""Closed codebooks as baselines: their codes are learned from titles, so no word can be bound.

    titles -> hashed TF-IDF -> truncated SVD -> residual k-means, one level for each position

Needs scikit-learn (extra `fit`). It runs in one thread, so that sums are added in a fixed order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
# Codes of an identifier that a product quantiser has, as in OneSearch.
SUBSPACES = 2
_TURNS = 8
_TURNED = 16_384


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


@dataclass(frozen=True, slots=True)
class ResidualQuantizer:
    """Centers of each level, each quantising what the levels before have left.

    With a `rotation`, what the last level has left is turned by it and cut into parts, and each of
    the `subspaces` quantises one of them: an optimised product quantiser.
    """

    levels: tuple[Vectors, ...]
    rotation: Vectors | None = None
    subspaces: tuple[Vectors, ...] = ()

    @staticmethod
    def fit(
        vectors: Vectors,
        capacities: Sequence[int],
        seed: int,
        progress: Callable[[int], None] | None = None,
    ) -> "ResidualQuantizer":
        """`progress` is called with the levels done."""
        residual = vectors.copy()
        levels = []
        for level, capacity in enumerate(capacities):
            codes, centers = nearest_centers(residual, capacity, seed + level)
            residual -= centers[codes]
            levels.append(centers)
            if progress:
                progress(level + 1)
        return ResidualQuantizer(tuple(levels))

    def with_product(
        self, vectors: Vectors, capacities: Sequence[int], seed: int
    ) -> "ResidualQuantizer":
        """These levels, but the last two replaced by a product quantiser, as OneSearch has them.

        `vectors` and `capacities`, all of them, are those that the levels were fitted to.
        """
        levels = ResidualQuantizer(self.levels[:-SUBSPACES])
        residual = vectors - levels.rebuild(levels.codes(vectors))
        rotation, subspaces = _fit_product(
            residual, capacities[-SUBSPACES:], seed + len(levels.levels)
        )
        return ResidualQuantizer(levels.levels, rotation, subspaces)

    def codes(self, vectors: Vectors) -> NDArray[np.int32]:
        """Quantise any vectors; shape (rows, dimensions) -> (rows, codes)."""
        residual = vectors.copy()
        columns = []
        for centers in self.levels:
            columns.append(_nearest(residual, centers))
            residual -= centers[columns[-1]]
        if self.rotation is not None:
            with threadpool_limits(1):
                turned = residual @ self.rotation
            parts = np.array_split(turned, len(self.subspaces), axis=1)
            columns += map(_nearest, parts, self.subspaces)
        return np.stack(columns, axis=1)

    def rebuild(self, codes: NDArray[np.int32]) -> Vectors:
        """The vectors that codes stand for."""
        depth = len(self.levels)
        rebuilt = sum(
            (centers[codes[:, level]] for level, centers in enumerate(self.levels)),
            np.zeros((len(codes), self.levels[0].shape[1]), np.float32),
        )
        if self.rotation is not None:
            parts = [
                centers[codes[:, depth + number]] for number, centers in enumerate(self.subspaces)
            ]
            rebuilt += np.hstack(parts) @ self.rotation.T
        return rebuilt


def residual_kmeans(
    vectors: Vectors,
    capacities: Sequence[int],
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.int32]:
    """Quantise vectors level by level, each level the residual of the one before.

    Shape: (items, dimensions) -> (items, levels). `progress` is called with the levels done.
    """
    return ResidualQuantizer.fit(vectors, capacities, seed, progress).codes(vectors)


def _fit_product(
    vectors: Vectors, capacities: Sequence[int], seed: int
) -> tuple[Vectors, tuple[Vectors, ...]]:
    """Quantise and turn alternately; return the rotation and the centers of each subspace.

    Source: Ge et al., Optimized Product Quantization (CVPR 2013), the non-parametric solution.
    """
    rotation = np.eye(vectors.shape[1], dtype=np.float32)
    # A part of the vectors, evenly spread, is enough to find the rotation.
    some = vectors[:: -(-len(vectors) // _TURNED)]
    for _ in range(_TURNS):
        fitted = _fit_subspaces(some, rotation, capacities, seed)
        # The rotation that brings vectors nearest to their codes: a Procrustes problem.
        rebuilt = np.hstack([centers[codes] for codes, centers in fitted])
        with threadpool_limits(1):
            left, _, right = np.linalg.svd(some.T @ rebuilt)
        rotation = np.ascontiguousarray(left @ right, dtype=np.float32)
    fitted = _fit_subspaces(vectors, rotation, capacities, seed)
    return rotation, tuple(centers for _, centers in fitted)


def _fit_subspaces(
    vectors: Vectors, rotation: Vectors, capacities: Sequence[int], seed: int
) -> list[tuple[NDArray[np.int32], Vectors]]:
    """The code of each turned vector in each subspace, and its centers."""
    with threadpool_limits(1):
        turned = vectors @ rotation
    parts = np.array_split(turned, len(capacities), axis=1)
    return [
        nearest_centers(np.ascontiguousarray(part), capacity, seed + number)
        for number, (part, capacity) in enumerate(zip(parts, capacities, strict=True))
    ]


def _nearest(vectors: Vectors, centers: Vectors) -> NDArray[np.int32]:
    """The nearest center of each vector, the first of equally near ones."""
    lengths = (centers**2).sum(axis=1)
    found = np.zeros(len(vectors), dtype=np.int32)
    with threadpool_limits(1):
        for first in range(0, len(vectors), _BATCH):
            part = vectors[first : first + _BATCH]
            found[first : first + _BATCH] = (lengths - 2 * (part @ centers.T)).argmin(axis=1)
    return found


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
