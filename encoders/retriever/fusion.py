"""What a model decodes and what items' own words say, made one ranking: reciprocal rank fusion.

Words weigh twice, and k is 10 instead of 60: words are the better ranking of the two, and a model
adds what they do not reach. Both numbers were chosen on a part of the training queries
(docs/adr/0029-a-retriever.md).

Source: Cormack, Clarke and Buettcher, Reciprocal Rank Fusion (SIGIR 2009).
"""

from collections import defaultdict
from collections.abc import Sequence

# So many of each ranking are fused, however few are asked for.
FUSED_DEPTH = 350
_K = 10
_BY_MODEL, _BY_WORDS = 1.0, 2.0


def fuse_rankings(by_model: Sequence[str], by_words: Sequence[str], limit: int) -> list[str]:
    """The items with the highest sums of weight / (10 + rank); of equal ones the model's first."""
    scores: defaultdict[str, float] = defaultdict(float)
    for ranking, weight in ((by_model, _BY_MODEL), (by_words, _BY_WORDS)):
        for rank, item in enumerate(ranking, 1):
            scores[item] += weight / (_K + rank)
    # A stable sort keeps equal ones in the order in which they came.
    return sorted(scores, key=lambda item: -scores[item])[:limit]
