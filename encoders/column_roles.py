"""Which columns are the item's id, title, description, popularity and revision.

A name must be listed and the values must be fit for it; where no name is, the values alone can show
the id, the title and the description.
"""

from collections.abc import Callable, Iterable, Sequence
from math import isfinite

from kae.encoders.field_names import ROLES, role_rank
from kae.encoders.field_profile import FieldProfile
from kae.encoders.text import normalise

ID_CHARACTERS = 256
# Shares of the items that have a value, and of those whose value is their own.
_FILLED = 0.9
_OWN = 0.98
_TITLE_CHARACTERS = (3.0, 300.0)
_TITLE_TOKENS = 2.0
_DESCRIPTION_CHARACTERS = 80.0
_COUNTED_VALUES = 100


def find_roles(columns: Sequence[FieldProfile], items: int) -> dict[str, str]:
    """Return role -> name of its column; a role that no column is fit for is left out."""
    found: dict[str, str] = {}
    for role in ROLES:
        free = [column for column in columns if column.name not in found.values()]
        column = _by_name(free, role, items) or _by_values(free, role, items)
        if column is not None:
            found[role] = column.name
    return found


def _by_name(columns: Iterable[FieldProfile], role: str, items: int) -> FieldProfile | None:
    ranked = [
        (rank, place, column)
        for place, column in enumerate(columns)
        if (rank := role_rank(column.name, role)) is not None and _FIT[role](column, items)
    ]
    return min(ranked)[2] if ranked else None


def _by_values(columns: Sequence[FieldProfile], role: str, items: int) -> FieldProfile | None:
    fit = [column for column in columns if _FIT[role](column, items)]
    if role == "id":
        spaceless = [c for c in fit if not any(" " in value for value in c.values)]
        return next(iter(spaceless), None)
    if role == "title":
        worded = [c for c in fit if _tokens(c) >= _TITLE_TOKENS and c.shape() is None]
        return max(worded, key=lambda column: column.distinct, default=None)
    if role == "description":
        long = [c for c in fit if c.mean_characters >= _DESCRIPTION_CHARACTERS]
        return max(long, key=lambda column: column.mean_characters, default=None)
    return None


def _is_id(column: FieldProfile, items: int) -> bool:
    return (
        column.items == items > 0
        and column.distinct >= _OWN * items
        and max(map(len, column.values)) <= ID_CHARACTERS
    )


def _is_title(column: FieldProfile, items: int) -> bool:
    low, high = _TITLE_CHARACTERS
    return column.items >= _FILLED * items and low <= column.mean_characters <= high


def _is_description(column: FieldProfile, _items: int) -> bool:
    return column.items > 0


def _is_popularity(column: FieldProfile, _items: int) -> bool:
    return column.items > 0 and all(_is_amount(value) for value in column.values)


def _is_revision(column: FieldProfile, items: int) -> bool:
    return column.items == items > 0 and all(
        value.isascii() and value.isdigit() for value in column.values
    )


_FIT: dict[str, Callable[[FieldProfile, int], bool]] = {
    "id": _is_id,
    "title": _is_title,
    "description": _is_description,
    "popularity": _is_popularity,
    "revision": _is_revision,
}


def _is_amount(value: str) -> bool:
    try:
        number = float(value)
    except ValueError:
        return False
    return number >= 0 and isfinite(number)


def _tokens(column: FieldProfile) -> float:
    """Tokens of a value, on average."""
    values = list(column.values)[:_COUNTED_VALUES]
    return sum(len(normalise(value).split()) for value in values) / max(1, len(values))
