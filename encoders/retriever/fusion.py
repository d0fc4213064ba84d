"""Several rankings of items made one, by reciprocal rank fusion.

Source: Cormack, Clarke and Buettcher, Reciprocal Rank Fusion (SIGIR 2009), with its k of 60.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

_K = 60


def fuse_rankings(rankings: Iterable[Sequence[str]], limit: int) -> list[str]:
    """The items with the highest sums of 1 / (60 + rank); of equal ones the first that came."""
    scores: defaultdict[str, float] = defaultdict(float)
    for ranking in rankings:
        for rank, item in enumerate(ranking, 1):
            scores[item] += 1 / (_K + rank)
    # A stable sort keeps equal ones in the order in which they came.
    return sorted(scores, key=lambda item: -scores[item])[:limit]
