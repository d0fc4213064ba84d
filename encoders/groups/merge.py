"""Merge categories into groups, step by step: each time the two groups that cost least.

    cost = IL + a |dH| + b |dp| + c [other family] + d [more than six categories]

IL is the mean information loss over the pairs between both (presence.py). |dH| and |dp| are the
differences of their mean entropies and mean activation rates; [other family] is the share of pairs
that belong to two semantic families. IL alone would gather whatever is rare in one huge group.

Source: OneRetrieval (arXiv 2606.13533), section 3; docs/adr says what is unknown there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations, product
from statistics import fmean

from kae.encoders.categories import CATEGORIES, CATEGORY_INDEX
from kae.encoders.groups.information import Presence

SOFT_CAP = 6
# What people mean to keep together, whatever a catalog's fields say.
FAMILIES: dict[str, tuple[str, ...]] = {
    "product": ("entity", "modifier", "series", "model"),
    "endorsement": ("brand", "audience", "anchor"),
    "appearance": ("style", "color", "pattern", "material"),
    "performance": ("function", "specification"),
    "offer": ("price", "marketing"),
    "occasion": ("season", "location", "scene"),
}
FAMILY_OF = {
    CATEGORY_INDEX[category]: family
    for family, categories in FAMILIES.items()
    for category in categories
}


@dataclass(frozen=True, slots=True)
class MergeWeights:
    """What each regulariser weighs beside one bit of information loss."""

    entropy: float = 1.0
    activation: float = 1.0
    family: float = 0.5
    size: float = 1.0


@dataclass(frozen=True, slots=True)
class Merge:
    """One step: two groups of categories become one."""

    left: tuple[int, ...]
    right: tuple[int, ...]
    loss: float  # mean information loss between them, in bits
    cost: float  # the loss and the regularisers
    groups_left: int


@dataclass(frozen=True, slots=True)
class MergeTree:
    """All steps from single categories to one group."""

    categories: tuple[int, ...]
    merges: tuple[Merge, ...]

    def cumulative(self) -> tuple[float, ...]:
        """The information lost by each step and those before it, in bits."""
        return tuple(accumulate(merge.loss for merge in self.merges))

    def knee(self) -> int | None:
        """The number of groups after which losing begins to cost most; None for under three.

        The second difference of the cumulative loss is largest there. Regularisers are no loss.
        """
        rises = [
            (after.loss - before.loss, before.groups_left)
            for before, after in zip(self.merges, self.merges[1:], strict=False)
        ]
        return max(rises)[1] if rises else None

    def cut(self, groups: int) -> tuple[tuple[int, ...], ...]:
        """The groups when so many are left, each in the order of the 18 categories."""
        standing: set[tuple[int, ...]] = {(category,) for category in self.categories}
        for merge in self.merges:
            if len(standing) <= groups:
                break
            standing -= {merge.left, merge.right}
            standing.add(_joined(merge.left, merge.right))
        return tuple(sorted(standing))


def merge(presence: Presence, categories: Sequence[int], weights: MergeWeights) -> MergeTree:
    """Merge until one group is left; of equal costs, the categories named first."""
    standing: list[tuple[int, ...]] = [(category,) for category in sorted(categories)]
    steps: list[Merge] = []
    while len(standing) > 1:
        cost, left, right = min(
            (merge_cost(presence, left, right, weights), left, right)
            for left, right in combinations(standing, 2)
        )
        standing.remove(left)
        standing.remove(right)
        standing.append(_joined(left, right))
        standing.sort()
        loss = presence.mean_loss(left, right)
        steps.append(Merge(left, right, loss, cost, len(standing)))
    return MergeTree(tuple(sorted(categories)), tuple(steps))


def merge_cost(
    presence: Presence, left: Sequence[int], right: Sequence[int], weights: MergeWeights
) -> float:
    """What joining two groups costs."""
    entropies = [fmean(map(presence.entropy, group)) for group in (left, right)]
    rates = [fmean(map(presence.rate, group)) for group in (left, right)]
    strangers = fmean(FAMILY_OF[x] != FAMILY_OF[y] for x, y in product(left, right))
    return (
        presence.mean_loss(left, right)
        + weights.entropy * abs(entropies[0] - entropies[1])
        + weights.activation * abs(rates[0] - rates[1])
        + weights.family * strangers
        + weights.size * (len(left) + len(right) > SOFT_CAP)
    )


def names(categories: Sequence[int]) -> tuple[str, ...]:
    return tuple(CATEGORIES[category] for category in categories)


def _joined(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(left + right))
