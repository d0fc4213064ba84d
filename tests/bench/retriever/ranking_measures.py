"""How well rankings answer judged queries.

A *pair* is a query and an item clicked for it, as in the paper, where each test is one of them.

    HR@K       pairs whose item is among the first K / all pairs
    recall@K   the mean over queries of: clicked items among the first K / clicked items
    MRR        the mean over queries of: 1 / rank of the first clicked item; 0 beyond rank 350
    nDCG@10    kae.bench.relevance.ndcg, of all ratings

HR@K weighs queries by their clicked items, recall@K does not. Items that the catalog lacks stay in
all of them, and cost every ranking the same.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kae.bench.relevance import NDCG_DEPTH, ndcg
from kae.bench.retriever.judged_queries import JudgedQuery

DEPTHS = (10, 100, 350)
DEEPEST = DEPTHS[-1]
Floats = NDArray[np.float64]
Rankings = list[list[str]]  # ids of items for each query, the best first


def hits(ranking: Sequence[str], wanted: Collection[str], depth: int) -> int:
    """How many of the wanted items are among the first."""
    return len(set(ranking[:depth]).intersection(wanted))


def reciprocal_rank(ranking: Sequence[str], wanted: Collection[str], depth: int = DEEPEST) -> float:
    """Of the first wanted item; 0 if none is among the first `depth`."""
    for rank, item in enumerate(ranking[:depth], 1):
        if item in wanted:
            return 1 / rank
    return 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One row for each query, so that queries can be drawn again.

    Shapes: hits and ordered_hits (queries, depths), the others (queries,).
    """

    hits: Floats
    pairs: Floats
    ordered_hits: Floats
    ordered_pairs: Floats
    reciprocal_ranks: Floats
    ndcg: Floats

    def hit_rate(self, depth: int) -> float:
        return _share(self.hits[:, DEPTHS.index(depth)].sum(), self.pairs.sum())

    def order_hit_rate(self, depth: int) -> float:
        return _share(self.ordered_hits[:, DEPTHS.index(depth)].sum(), self.ordered_pairs.sum())

    def recall(self, depth: int) -> float:
        return float((self.hits[:, DEPTHS.index(depth)] / self.pairs).mean())

    @property
    def mrr(self) -> float:
        return float(self.reciprocal_ranks.mean())

    @property
    def mean_ndcg(self) -> float:
        return float(self.ndcg.mean())


def measure_rankings(rankings: Sequence[Sequence[str]], queries: Sequence[JudgedQuery]) -> Measured:
    """Measure a ranking (item ids, the best first) for each query; each has a clicked item."""
    asked = list(zip(rankings, queries, strict=True))
    return Measured(
        hits=np.array([[hits(r, q.clicked, depth) for depth in DEPTHS] for r, q in asked], float),
        pairs=np.array([len(query.clicked) for query in queries], float),
        ordered_hits=np.array(
            [[hits(r, q.ordered, depth) for depth in DEPTHS] for r, q in asked], float
        ),
        ordered_pairs=np.array([len(query.ordered) for query in queries], float),
        reciprocal_ranks=np.array([reciprocal_rank(r, q.clicked) for r, q in asked]),
        ndcg=np.array([ndcg(r, q.ratings, NDCG_DEPTH) for r, q in asked]),
    )


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
