"""Fit groups of categories, their positions and their capacities to a catalog.

    learn       the vocabulary of the catalog, unless it is given
    observe     which words the items have
    merge       categories into groups, cut at six since an identifier has six positions
    regroup     categories that would hide each other in one group
    summarise   what each group would hold for the items: its entropy orders and sizes positions

A position with H bits of information is worth as much as 2^H equally frequent words. Slots are
shared out in units, each to the position with the highest worth per slot, so shares are
proportional (D'Hondt). Every position gets at least one unit, which leaves room for a growing
catalog, and at most what its words or the largest dense position can fill.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kae.encoders.catalog_reader import CatalogReader
from kae.encoders.categories import CATEGORIES, CATEGORY_INDEX, POSITIONS, Group, check_groups
from kae.encoders.groups.information import CategoryCooccurrence
from kae.encoders.groups.merge import MergeTree, MergeWeights, category_names, merge_categories
from kae.encoders.groups.occurrences import Occurrences, observe
from kae.encoders.groups.regroup import regroup
from kae.encoders.groups.representatives import Representatives, RepresentativeTable
from kae.encoders.tagger.weights import TaggerSource
from kae.encoders.vocabulary.fit import learn_vocabulary
from kae.encoders.vocabulary.vocabulary import Vocabulary

UNIT = 256
LARGEST = 4096


def core_slots(
    information: Sequence[float], spellings: Sequence[int], total: int
) -> tuple[int, ...]:
    """Return the slots of each position without the reserved ones; the empty slot is included.

    `information`: bits of each position; `spellings`: how many words it could hold; `total`: the
    slots to share out. Slots that no position can use are left over.
    """
    units = [1] * len(information)
    # One slot is the empty slot.
    most = [min(LARGEST // UNIT, words // UNIT + 1) for words in spellings]
    for _ in range(total // UNIT - len(units)):
        open_to_more = [p for p in range(len(units)) if units[p] < most[p]]
        if not open_to_more:
            break
        units[min(open_to_more, key=lambda p: (-(2 ** information[p]) / units[p], p))] += 1
    return tuple(UNIT * count for count in units)


# Passes over the catalog.
PASSES = 2
# With fewer items a share is uncertain by more than five points.
FEWEST_ITEMS = 100


@dataclass(frozen=True, slots=True)
class FittedGroups:
    """Groups in the order of their positions, with the data that they were fitted from."""

    groups: tuple[Group, ...]
    representatives: Representatives
    cooccurrence: CategoryCooccurrence
    tree: MergeTree  # of the categories that occur
    declared_because: str  # why these are the declared groups; empty when they are fitted
    vocabulary: Vocabulary
    occurrences: Occurrences
    table: RepresentativeTable


def fit_groups(
    catalog: CatalogReader,
    declared: Sequence[Group],
    fields: Mapping[str, str],
    weights: MergeWeights,
    *,
    keep_declared: bool = False,
    vocabulary: Vocabulary | None = None,
    tagger: TaggerSource | None = None,
) -> FittedGroups:
    """Fit groups to a catalog; with `keep_declared`, only measure the declared groups.

    `declared` gives the slots to share out and to reserve, and the group of categories that no item
    has. It is also the result when there is too little data to merge.
    Raises: GroupsInvalid if the declared groups are invalid.
    """
    check_groups(declared)
    if vocabulary is None:
        vocabulary = learn_vocabulary(catalog, declared, fields)
    occurrences = observe(
        catalog, declared, fields, vocabulary.dictionary, tagger, form=vocabulary.form
    )
    cooccurrence = occurrences.cooccurrence()
    occurring = [c for c in range(len(CATEGORIES)) if cooccurrence.counts[c][c]]
    tree = merge_categories(cooccurrence, occurring, weights)
    because = "asked for" if keep_declared else _too_little(cooccurrence.items, len(occurring))
    groups = tuple(declared)
    table = RepresentativeTable(occurrences, vocabulary)
    if not because:
        starts = (tree.cut(POSITIONS), *_occurring(declared, occurring))
        parts = regroup(table, starts, weights)
        groups = tuple(_named_groups(occurrences, cooccurrence, parts, declared))
    representatives = table.summarise([_numbers(group) for group in groups])
    if not because:
        groups, representatives = _ordered(groups, representatives)
        groups = _sized(groups, representatives, declared)
    return FittedGroups(
        groups, representatives, cooccurrence, tree, because, vocabulary, occurrences, table
    )


def _numbers(group: Group) -> list[int]:
    return [CATEGORY_INDEX[name] for name in group.categories]


def _occurring(declared: Sequence[Group], occurring: Sequence[int]) -> Iterator[list[list[int]]]:
    """Yield the declared groups without absent categories, unless a group becomes empty."""
    parts = [[c for c in _numbers(group) if c in occurring] for group in declared]
    if all(parts):
        yield parts


def _too_little(items: int, occurring: int) -> str:
    if items < FEWEST_ITEMS:
        return f"{items} items are too few to measure shares of; give at least {FEWEST_ITEMS}"
    if occurring < POSITIONS:
        return (
            f"items have words of {occurring} categories, and {POSITIONS} groups need at least "
            f"{POSITIONS}; map more fields to categories in catalog.fields"
        )
    return ""


def _named_groups(
    occurrences: Occurrences,
    cooccurrence: CategoryCooccurrence,
    cut: Sequence[tuple[int, ...]],
    declared: Sequence[Group],
) -> Iterator[Group]:
    """Yield each group, named after the two categories that most items have.

    Absent categories join the group of their declared neighbours. Categories whose words say most
    about an item come first.
    """
    absent_categories = set(range(len(CATEGORIES))).difference(*cut)
    for categories, group in zip(cut, declared, strict=True):
        leading = sorted(categories, key=lambda c: (-cooccurrence.counts[c][c], c))[:2]
        taken = {c for c in absent_categories if _group_of_absent(c, cut, declared) == categories}
        members = category_names(
            sorted({*categories, *taken}, key=lambda c: (-occurrences.mean_bits(c), c))
        )
        yield Group("-".join(category_names(leading)), members, group.capacity, group.reserved)


def _group_of_absent(
    absent: int, cut: Sequence[tuple[int, ...]], declared: Sequence[Group]
) -> tuple[int, ...]:
    """Return the group with most of the declared neighbours of an absent category."""
    neighbours = next(
        {CATEGORY_INDEX[name] for name in group.categories}
        for group in declared
        if CATEGORIES[absent] in group.categories
    )
    return max(cut, key=lambda categories: len(neighbours.intersection(categories)))


def _ordered(
    groups: Sequence[Group], representatives: Representatives
) -> tuple[tuple[Group, ...], Representatives]:
    """Order the groups by information, most first."""
    order = sorted(
        range(len(groups)), key=lambda p: (-representatives.information[p], groups[p].name)
    )
    return tuple(groups[p] for p in order), Representatives(
        tuple(representatives.spellings[p] for p in order),
        tuple(representatives.information[p] for p in order),
    )


def _sized(
    groups: Sequence[Group], representatives: Representatives, declared: Sequence[Group]
) -> tuple[Group, ...]:
    """Share out the slots of the declared positions; each keeps its reserved slots."""
    total = sum(group.capacity - group.reserved for group in declared)
    core = core_slots(representatives.information, representatives.spellings, total)
    return tuple(
        Group(group.name, group.categories, slots + position.reserved, position.reserved)
        for group, slots, position in zip(groups, core, declared, strict=True)
    )
