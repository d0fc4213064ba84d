"""Merge categories into groups, one step at a time: each joins the two groups that cost least.

    cost = IL + a |dH| + b |dp| + c [other family] + d [more than six categories]

IL is the mean information loss over the pairs between both (information.py). |dH| and |dp| are the
differences of their mean entropies and mean activation rates; [other family] is the share of pairs
from different semantic families. IL alone would gather all rare categories in one huge group.

Source: OneRetrieval (arXiv 2606.13533), section 3; docs/adr says what is unknown there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations, product
from statistics import fmean

from kae.encoders.categories import CATEGORIES, CATEGORY_INDEX
from kae.encoders.groups.information import CategoryCooccurrence

SOFT_CAP = 6
# Categories that belong together by meaning, whatever a catalog's fields say.
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
    """The weight of each regulariser, relative to one bit of information loss."""

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
    """All merges, from single categories to one group."""

    categories: tuple[int, ...]
    merges: tuple[Merge, ...]

    def cumulative(self) -> tuple[float, ...]:
        """Return the information lost up to each step, in bits."""
        return tuple(accumulate(step.loss for step in self.merges))

    def knee(self) -> int | None:
        """Return the number of groups at the knee; None for fewer than three categories.

        The second difference of the cumulative loss, without regularisers, is largest there.
        """
        rises = [
            (after.loss - before.loss, before.groups_left)
            for before, after in zip(self.merges, self.merges[1:], strict=False)
        ]
        return max(rises)[1] if rises else None

    def cut(self, groups: int) -> tuple[tuple[int, ...], ...]:
        """Return the groups when so many are left, each in the order of the 18 categories."""
        current: set[tuple[int, ...]] = {(category,) for category in self.categories}
        for step in self.merges:
            if len(current) <= groups:
                break
            current -= {step.left, step.right}
            current.add(_join(step.left, step.right))
        return tuple(sorted(current))


def merge_categories(
    cooccurrence: CategoryCooccurrence, categories: Sequence[int], weights: MergeWeights
) -> MergeTree:
    """Merge until one group is left; ties go to the categories that come first."""
    current: list[tuple[int, ...]] = [(category,) for category in sorted(categories)]
    steps: list[Merge] = []
    while len(current) > 1:
        cost, left, right = min(
            (merge_cost(cooccurrence, left, right, weights), left, right)
            for left, right in combinations(current, 2)
        )
        current.remove(left)
        current.remove(right)
        current.append(_join(left, right))
        current.sort()
        loss = cooccurrence.mean_loss(left, right)
        steps.append(Merge(left, right, loss, cost, len(current)))
    return MergeTree(tuple(sorted(categories)), tuple(steps))


def merge_cost(
    cooccurrence: CategoryCooccurrence,
    left: Sequence[int],
    right: Sequence[int],
    weights: MergeWeights,
) -> float:
    """Return the cost of joining two groups."""
    entropies = [fmean(map(cooccurrence.entropy, group)) for group in (left, right)]
    rates = [fmean(map(cooccurrence.rate, group)) for group in (left, right)]
    other_family = fmean(FAMILY_OF[x] != FAMILY_OF[y] for x, y in product(left, right))
    return (
        cooccurrence.mean_loss(left, right)
        + weights.entropy * abs(entropies[0] - entropies[1])
        + weights.activation * abs(rates[0] - rates[1])
        + weights.family * other_family
        + weights.size * (len(left) + len(right) > SOFT_CAP)
    )


def category_names(categories: Sequence[int]) -> tuple[str, ...]:
    return tuple(CATEGORIES[category] for category in categories)


def _join(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(left + right))
