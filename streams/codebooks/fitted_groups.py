"""Groups fitted to a catalog: as a report, and as a section of topology.yaml."""

import sys
from collections.abc import Sequence

import msgspec
import yaml

from kae.encoders.categories import CATEGORIES, POSITIONS, Group
from kae.encoders.groups.fit import FittedGroups
from kae.encoders.groups.merge import category_names


class GroupFitted(msgspec.Struct, frozen=True):
    """A group with its position, and what it would say about the catalog's items."""

    position: int
    name: str
    categories: tuple[str, ...]
    capacity: int
    reserved: int
    words: int  # spellings that could have a slot
    bits: float  # entropy of the representative word, if every word had a slot
    crowded: float  # share of items with words of several of its categories


class MergeStep(msgspec.Struct, frozen=True):
    """One step of merging."""

    groups_left: int
    left: tuple[str, ...]
    right: tuple[str, ...]
    loss: float  # mean information loss between both, in bits
    cumulative_loss: float
    cost: float  # the loss and the regularisers


class GroupsFitted(msgspec.Struct, frozen=True):
    """What `kae groups fit --json` prints."""

    items: int
    rejected: int
    seconds: float
    fitted: bool
    declared_because: str  # why the declared groups stay; empty when fitted
    knee: int | None  # groups at the knee of the cumulative loss
    absent: tuple[str, ...]  # categories that no item has a word of
    groups: tuple[GroupFitted, ...]
    merges: tuple[MergeStep, ...]
    files: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the groups should know, one line each."""
        if not self.fitted:
            return (f"the declared groups stay: {self.declared_because}",)
        notes = []
        if self.knee != POSITIONS:
            notes.append(
                f"the knee of the cumulative loss is at {self.knee} groups; they are cut at "
                f"{POSITIONS}, since an identifier has {POSITIONS} positions"
            )
        if self.absent:
            notes.append(
                f"no item has a word of {', '.join(self.absent)}: placed beside the categories "
                "that they are declared beside"
            )
        return tuple(notes)


def describe_groups(fit: FittedGroups, rejected: int, seconds: float) -> GroupsFitted:
    """Describe fitted groups as a report."""
    representatives = fit.representatives
    occurring = set(fit.tree.categories)
    return GroupsFitted(
        items=fit.occurrences.catalog_items,
        rejected=rejected,
        seconds=round(seconds, 3),
        fitted=not fit.declared_because,
        declared_because=fit.declared_because,
        knee=fit.tree.knee(),
        absent=tuple(name for c, name in enumerate(CATEGORIES) if c not in occurring),
        groups=tuple(
            GroupFitted(
                position,
                group.name,
                group.categories,
                group.capacity,
                group.reserved,
                representatives.spellings[position],
                round(representatives.information[position], 4),
                round(fit.occurrences.crowded(group), 4),
            )
            for position, group in enumerate(fit.groups)
        ),
        merges=tuple(
            MergeStep(
                step.groups_left,
                category_names(step.left),
                category_names(step.right),
                round(step.loss, 6),
                round(cumulative, 6),
                round(step.cost, 6),
            )
            for step, cumulative in zip(fit.tree.merges, fit.tree.cumulative(), strict=True)
        ),
        files=(),
    )


def groups_section(groups: Sequence[Group]) -> str:
    """Return the groups as the YAML section of topology.yaml, one a line."""
    lines = (
        yaml.safe_dump(
            {
                "name": group.name,
                "categories": list(group.categories),
                "capacity": group.capacity,
                "reserved": group.reserved,
            },
            default_flow_style=True,
            sort_keys=False,
            allow_unicode=True,
            width=sys.maxsize,
        )
        for group in groups
    )
    return "groups:\n" + "".join(f"  - {line}" for line in lines)
