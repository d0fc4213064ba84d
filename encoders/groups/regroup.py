"""Move categories between groups while that makes identifiers say more about the items.

Merging (merge.py) looks at which items have words, not at what the words say: a category whose
every word belongs to one item may share a position with one that most items have, and then never
be seen. So hill climbing starts once from the merged groups and once from the declared ones. Each
step moves a category to another group, or swaps two, and is the step with the highest score:

    score = bits of the identifier
          - log2(items) times the share of items with fewer than three filled positions
          - c [share of pairs in a group from different families] - d [groups of more than six]

with every word on a slot of its own. c is a fifth of the family weight of merging, which pays it
at each step; d is its size weight.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from math import log2

import numpy as np

from kae.encoders.groups.information import COVERED_POSITIONS
from kae.encoders.groups.merge import FAMILY_OF, SOFT_CAP, MergeWeights
from kae.encoders.groups.representatives import (
    RepresentativeTable,
    RepresentativeWords,
    entropy_of,
    hash_rows,
)

Partition = tuple[tuple[int, ...], ...]
# The least gain of a step, in bits; less is within the noise between two catalogs.
MIN_GAIN = 0.001
_FAMILY_SHARE = 0.2


def regroup(
    table: RepresentativeTable, starts: Iterable[Sequence[Sequence[int]]], weights: MergeWeights
) -> Partition:
    """Return the best groups that hill climbing reaches from any of the starts."""
    score = _Scorer(table, weights)
    ends = [_climb(score, groups) for groups in starts]
    return max(ends, key=score.of)


def _climb(score: "_Scorer", groups: Sequence[Sequence[int]]) -> Partition:
    """Return groups that no single step improves, each in the order of the 18 categories."""
    current: Partition = tuple(sorted(tuple(sorted(group)) for group in groups))
    best = score.of(current)
    while True:
        # Of equal steps the first.
        gain, step = max(
            ((score.of(step), step) for step in _steps(current)), key=lambda one: one[0]
        )
        if gain < best + MIN_GAIN:
            return current
        best, current = gain, step


def _steps(groups: Partition) -> Iterator[Partition]:
    """Yield each way to move one category or swap two that leaves no group empty."""
    for left, right in combinations(range(len(groups)), 2):
        for out in (*groups[left], None):
            for back in (*groups[right], None):
                changed = list(groups)
                changed[left] = _exchanged(groups[left], out, back)
                changed[right] = _exchanged(groups[right], back, out)
                if changed[left] and changed[right] and out != back:
                    yield tuple(sorted(changed))


def _exchanged(group: tuple[int, ...], out: int | None, back: int | None) -> tuple[int, ...]:
    kept = [category for category in group if category != out]
    return tuple(sorted(kept if back is None else [*kept, back]))


class _Scorer:
    def __init__(self, table: RepresentativeTable, weights: MergeWeights) -> None:
        self._table = table
        self._weights = weights
        self._columns: dict[tuple[int, ...], RepresentativeWords] = {}

    def of(self, groups: Partition) -> float:
        columns = [self._of_group(group) for group in groups]
        filled = sum((column > 0).astype(np.int8) for column in columns)
        lost = float(np.mean(filled < COVERED_POSITIONS))
        pairs = [pair for group in groups for pair in combinations(group, 2)]
        other_family = sum(FAMILY_OF[x] != FAMILY_OF[y] for x, y in pairs) / max(1, len(pairs))
        large = sum(len(group) > SOFT_CAP for group in groups)
        return (
            entropy_of(hash_rows(columns))
            - lost * log2(max(2, len(columns[0])))
            - _FAMILY_SHARE * self._weights.family * other_family
            - self._weights.size * large
        )

    def _of_group(self, group: tuple[int, ...]) -> RepresentativeWords:
        if group not in self._columns:
            self._columns[group] = self._table.representatives(group)
        return self._columns[group]
