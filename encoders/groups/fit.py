"""How many slots each position gets: more where the items' words tell more.

A position with H bits of information has as much to tell as 2^H words that are equally frequent.
Units of slots go one after the other to the position that has the most of those for each slot, so
shares are proportional (D'Hondt). None gets less than one unit, which leaves room for a catalog
that grows, nor more than its words or the largest dense position could fill.

Groups of categories, positions and capacities, fitted to a catalog.

learn       the vocabulary of this catalog, if it was not before; no other has its words
observe     which words the items have
merge       categories into groups, cut at six, since an identifier has six positions
regroup     categories that would hide each other in one group
represent   what each group would say of the items: its entropy orders and sizes the positions
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kae.encoders.categories import CATEGORIES, CATEGORY_INDEX, POSITIONS, Group, check_groups
from kae.encoders.groups.information import Presence
from kae.encoders.groups.merge import MergeTree, MergeWeights, merge, names
from kae.encoders.groups.occurrences import Occurrences, Passes, observe
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
    """The slots of each position beside the reserved ones; index 0 is one of them.

    `information`: bits of each position; `spellings`: how many words it could tell apart; `total`:
    slots to share out, what no position can use is left over.
    """
    units = [1] * len(information)
    # One slot is the empty one.
    most = [min(LARGEST // UNIT, words // UNIT + 1) for words in spellings]
    for _ in range(total // UNIT - len(units)):
        open_to_more = [p for p in range(len(units)) if units[p] < most[p]]
        if not open_to_more:
            break
        units[min(open_to_more, key=lambda p: (-(2 ** information[p]) / units[p], p))] += 1
    return tuple(UNIT * count for count in units)


# Passes over the catalog.
PASSES = 2
# In fewer items a share is uncertain by more than five points.
FEWEST_ITEMS = 100


@dataclass(frozen=True, slots=True)
class FittedGroups:
    """Groups in the order of their positions, and how they came about."""

    groups: tuple[Group, ...]
    representatives: Representatives
    presence: Presence
    tree: MergeTree  # of the categories that occur
    declared_because: str  # why these are the declared groups; empty when they are fitted
    vocabulary: Vocabulary
    occurrences: Occurrences
    table: RepresentativeTable


def fit_groups(
    passes: Passes,
    declared: Sequence[Group],
    fields: Mapping[str, str],
    weights: MergeWeights,
    *,
    keep_declared: bool = False,
    vocabulary: Vocabulary | None = None,
    tagger: TaggerSource | None = None,
) -> FittedGroups:
    """Fit groups to a catalog; with `keep_declared`, only look at what the declared ones give.

    `declared` says how many slots they share out and reserve, and beside which others a category
    belongs that no item has; where there is too little to merge, it is the result.
    Raises: GroupsInvalid if the declared groups cannot be.
    """
    check_groups(declared)
    if vocabulary is None:
        vocabulary = learn_vocabulary(passes, declared, fields)
    seen = observe(passes, declared, fields, vocabulary.dictionary, tagger)
    presence = seen.presence()
    occurring = [c for c in range(len(CATEGORIES)) if presence.together[c][c]]
    tree = merge(presence, occurring, weights)
    because = "asked for" if keep_declared else _too_little(presence.items, len(occurring))
    groups = tuple(declared)
    table = RepresentativeTable(seen, vocabulary)
    if not because:
        beginnings = (tree.cut(POSITIONS), *_occurring(declared, occurring))
        parts = regroup(table, beginnings, weights)
        groups = tuple(_gathered(seen, presence, parts, declared))
    told = table.represent([_numbers(group) for group in groups])
    if not because:
        groups, told = _ordered(groups, told)
        groups = _sized(groups, told, declared)
    return FittedGroups(groups, told, presence, tree, because, vocabulary, seen, table)


def _numbers(group: Group) -> list[int]:
    return [CATEGORY_INDEX[name] for name in group.categories]


def _occurring(declared: Sequence[Group], occurring: Sequence[int]) -> Iterator[list[list[int]]]:
    """The declared groups without what no item has, if something is left of each."""
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


def _gathered(
    seen: Occurrences,
    presence: Presence,
    cut: Sequence[tuple[int, ...]],
    declared: Sequence[Group],
) -> Iterator[Group]:
    """Each group with the declared strays, named for the two categories that most items have.

    Its categories are in the order in which their words tell most of an item.
    """
    strays = set(range(len(CATEGORIES))).difference(*cut)
    for categories, group in zip(cut, declared, strict=True):
        leading = sorted(categories, key=lambda c: (-presence.together[c][c], c))[:2]
        taken = {c for c in strays if _host(c, cut, declared) == categories}
        members = names(sorted({*categories, *taken}, key=lambda c: (-seen.bits_told(c), c)))
        yield Group("-".join(names(leading)), members, group.capacity, group.reserved)


def _host(stray: int, cut: Sequence[tuple[int, ...]], declared: Sequence[Group]) -> tuple[int, ...]:
    """The group with most of those that a category which no item has is declared beside."""
    beside = next(
        {CATEGORY_INDEX[name] for name in group.categories}
        for group in declared
        if CATEGORIES[stray] in group.categories
    )
    return max(cut, key=lambda categories: len(beside.intersection(categories)))


def _ordered(
    groups: Sequence[Group], told: Representatives
) -> tuple[tuple[Group, ...], Representatives]:
    """Most information first."""
    order = sorted(range(len(groups)), key=lambda p: (-told.information[p], groups[p].name))
    return tuple(groups[p] for p in order), Representatives(
        tuple(told.spellings[p] for p in order), tuple(told.information[p] for p in order)
    )


def _sized(
    groups: Sequence[Group], told: Representatives, declared: Sequence[Group]
) -> tuple[Group, ...]:
    """Share out the slots of the declared positions; each position reserves what it did."""
    total = sum(group.capacity - group.reserved for group in declared)
    core = core_slots(told.information, told.spellings, total)
    return tuple(
        Group(group.name, group.categories, slots + position.reserved, position.reserved)
        for group, slots, position in zip(groups, core, declared, strict=True)
    )
