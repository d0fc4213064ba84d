"""The 18 attribute categories and the six groups that they merge into.

A group owns one position of the identifier; a position has numbered slots:

    index 0                    empty
    1 .. capacity-reserved-1   solo slots, one for each head word
    the top `reserved`         slots that operations bind to new words
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CATEGORIES: tuple[str, ...] = (
    "entity",
    "modifier",
    "brand",
    "material",
    "style",
    "function",
    "location",
    "audience",
    "color",
    "scene",
    "specification",
    "price",
    "model",
    "anchor",
    "series",
    "marketing",
    "season",
    "pattern",
)
CATEGORY_INDEX: dict[str, int] = {name: index for index, name in enumerate(CATEGORIES)}
POSITIONS = 6
# An identifier is stored as six uint16.
CAPACITY_LIMIT = 65536
Identifier = tuple[int, int, int, int, int, int]
EMPTY: Identifier = (0, 0, 0, 0, 0, 0)


class GroupsInvalid(ValueError):
    """The groups do not divide the 18 categories among the six positions."""


class FieldsInvalid(ValueError):
    """A field is mapped to an unknown category."""


@dataclass(frozen=True, slots=True)
class Group:
    """The categories that share a position; `capacity` is the number of all its slots."""

    name: str
    categories: tuple[str, ...]
    capacity: int
    reserved: int


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    position: int  # 0..5
    index: int  # 0 is "empty"


def check_groups(groups: Sequence[Group]) -> None:
    """Check that a codebook can be built from the groups.

    Raises: GroupsInvalid.
    """
    if len(groups) != POSITIONS:
        raise GroupsInvalid(f"groups: {len(groups)} declared; declare exactly {POSITIONS}")
    uses = Counter(category for group in groups for category in group.categories)
    wrong = [f"{name} (unknown)" for name in sorted(uses) if name not in CATEGORY_INDEX]
    wrong += [f"{name} ({uses[name]} times)" for name in CATEGORIES if uses[name] != 1]
    if wrong:
        raise GroupsInvalid(
            f"groups: {', '.join(wrong)}; name each of the 18 categories in exactly one group"
        )
    for group in groups:
        if not 0 <= group.reserved <= group.capacity - 2 or group.capacity > CAPACITY_LIMIT:
            raise GroupsInvalid(
                f"group {group.name}: capacity {group.capacity} with {group.reserved} reserved; "
                f"keep capacity <= {CAPACITY_LIMIT} and leave at least one solo slot "
                "beside index 0 and the reserved slots"
            )


def check_fields(fields: Mapping[str, str]) -> None:
    """Check that a field mapping names only categories.

    Raises: FieldsInvalid.
    """
    for field, category in fields.items():
        if category not in CATEGORY_INDEX:
            raise FieldsInvalid(
                f"field {field!r}: {category!r} is no category; map it to one of "
                f"{', '.join(CATEGORIES)}"
            )
