"""Two rankings as one: what a model decodes, and what items' own words say.

Source: Cormack et al., Reciprocal Rank Fusion (SIGIR 2009), whose 60 it is.
"""

from collections.abc import Sequence

_FUSED_FROM = 60


def fuse(ours: Sequence[str], theirs: Sequence[str], limit: int) -> list[str]:
    """One ranking of two, by the sums of 1 / (60 + rank); of equal sums, ours first."""
    sums: dict[str, float] = {}
    for ranking in (ours, theirs):
        for rank, item in enumerate(ranking, 1):
            sums[item] = sums.get(item, 0.0) + 1 / (_FUSED_FROM + rank)
    return sorted(sums, key=lambda item: -sums[item])[:limit]
