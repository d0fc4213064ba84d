"""Move categories between groups as long as identifiers tell more of the items.

Merging (merge.py) looks at when items have words, not at what these say: a category whose every
word belongs to one item may share a position with one that most items have, and is never seen. So
a search by single steps begins with the merged groups, and another with the declared ones. Each
step moves a category to another group, or swaps two, and is the one that is worth most:

    worth = bits of the identifier
          - log2(items) for each share of items with fewer than three positions, which are lost
          - c [share of pairs in a group that belong to two families] - d [groups of more than six]

with every word on a slot of its own; c is a fifth of the weight that merging has, which pays it at
each step, and d the same.
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
    bits,
    mixed,
)

Partition = tuple[tuple[int, ...], ...]
# What a step must be worth, in bits: less is within what the next catalog would say otherwise.
LEAST_GAIN = 0.001
_FAMILY_SHARE = 0.2


def regroup(
    table: RepresentativeTable, beginnings: Iterable[Sequence[Sequence[int]]], weights: MergeWeights
) -> Partition:
    """The groups that are worth most of those that the beginnings lead to."""
    worth = _Worth(table, weights)
    ends = [_climb(worth, groups) for groups in beginnings]
    return max(ends, key=worth.of)


def _climb(worth: "_Worth", groups: Sequence[Sequence[int]]) -> Partition:
    """The groups that no single step makes better, each in the order of the 18 categories."""
    standing: Partition = tuple(sorted(tuple(sorted(group)) for group in groups))
    best = worth.of(standing)
    while True:
        # Of steps that are worth the same, the first in order.
        gain, step = max(
            ((worth.of(step), step) for step in _steps(standing)), key=lambda one: one[0]
        )
        if gain < best + LEAST_GAIN:
            return standing
        best, standing = gain, step


def _steps(groups: Partition) -> Iterator[Partition]:
    """Each way to move one category, or to swap two; no group is left without any."""
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


class _Worth:
    def __init__(self, table: RepresentativeTable, weights: MergeWeights) -> None:
        self._table = table
        self._weights = weights
        self._said: dict[tuple[int, ...], RepresentativeWords] = {}

    def of(self, groups: Partition) -> float:
        said = [self._of_group(group) for group in groups]
        filled = sum((column > 0).astype(np.int8) for column in said)
        lost = float(np.mean(filled < COVERED_POSITIONS))
        pairs = [pair for group in groups for pair in combinations(group, 2)]
        strangers = sum(FAMILY_OF[x] != FAMILY_OF[y] for x, y in pairs) / max(1, len(pairs))
        large = sum(len(group) > SOFT_CAP for group in groups)
        return (
            bits(mixed(said))
            - lost * log2(max(2, len(said[0])))
            - _FAMILY_SHARE * self._weights.family * strangers
            - self._weights.size * large
        )

    def _of_group(self, group: tuple[int, ...]) -> RepresentativeWords:
        if group not in self._said:
            self._said[group] = self._table.said(group)
        return self._said[group]
