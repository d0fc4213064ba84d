"""How well a ranking agrees with judged queries.

nDCG@k: an item of rating r gains 2^r - 1, divided by log2(1 + its rank); the sum over the first k,
divided by the highest sum that any order of all the query's judged items reaches. An item that
nobody judged gains 0.

recall@k: of the items rated above 0, the share that is among the first k.

Both are means over the queries that have an item rated above 0: where nothing is relevant, neither
is defined, so such queries are left out (and counted). Judged items that the catalog does not have
stay judged: no ranking reaches them, so they cost every side the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2

from kae.bench.judgements import Ratings

NDCG_DEPTH = 10
RECALL_DEPTH = 350


@dataclass(frozen=True, slots=True)
class Relevance:
    """Means over the queries that have a relevant item."""

    ndcg: float
    recall: float


def has_relevant(ratings: Ratings) -> bool:
    return any(rating > 0 for rating in ratings.values())


def relevance(rankings: Mapping[str, Sequence[str]], judged: Mapping[str, Ratings]) -> Relevance:
    """Of a ranking (item ids, the best first) for each judged query that has a relevant item."""
    counted = [query for query, ratings in judged.items() if has_relevant(ratings)]
    if not counted:
        return Relevance(0.0, 0.0)
    return Relevance(
        sum(ndcg(rankings[query], judged[query], NDCG_DEPTH) for query in counted) / len(counted),
        sum(recall(rankings[query], judged[query], RECALL_DEPTH) for query in counted)
        / len(counted),
    )


def ndcg(ranking: Sequence[str], ratings: Ratings, depth: int) -> float:
    """Of one query with a relevant item."""
    ideal = sorted(ratings.values(), reverse=True)
    return _gained([ratings.get(item, 0.0) for item in ranking], depth) / _gained(ideal, depth)


def recall(ranking: Sequence[str], ratings: Ratings, depth: int) -> float:
    """Of one query with a relevant item."""
    relevant = {item for item, rating in ratings.items() if rating > 0}
    return len(relevant.intersection(ranking[:depth])) / len(relevant)


def _gained(ratings: Sequence[float], depth: int) -> float:
    return sum((2**rating - 1) / log2(1 + rank) for rank, rating in enumerate(ratings[:depth], 1))
