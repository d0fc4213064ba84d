"""Which columns are the item's id, title, description, popularity and revision.

A name must be listed and the values must be fit for it; where no name is, the values alone can show
the id, the title and the description.

Which category a field's words belong to, proposed from its name and its values, with the reason.

The name says it, if it is listed; the values must then give words. A field whose name says nothing
is proposed by its values alone: by what the bundled vocabularies list, or by their shape.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

from kae.encoders.fields.names import NONE, ROLES, NameMeaning, meaning_of, role_rank
from kae.encoders.fields.profile import FieldProfile
from kae.encoders.text.normal_form import normalise

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
        column = _roles_by_name(free, role, items) or _roles_by_values(free, role, items)
        if column is not None:
            found[role] = column.name
    return found


def _roles_by_name(columns: Iterable[FieldProfile], role: str, items: int) -> FieldProfile | None:
    ranked = [
        (rank, place, column)
        for place, column in enumerate(columns)
        if (rank := role_rank(column.name, role)) is not None and _FIT[role](column, items)
    ]
    return min(ranked)[2] if ranked else None


def _roles_by_values(columns: Sequence[FieldProfile], role: str, items: int) -> FieldProfile | None:
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


# Shares of a field's values.
_SHAPED = 0.6
_GIVES_WORDS = 0.3
_LISTED = 0.5
# A name that only holds a listed word gives way to values that are surely something else.
_SURELY_LISTED = 0.8
# Of fewer items that have the field, the values say nothing about others.
_FEWEST_ITEMS = 5
# A field of one item in so many is not worth a line of the mapping.
_RARE = 1000
_SAY_NO_WORD = {"address", "markup", "date", "yes or no"}
_CATEGORY_OF_SHAPE = {
    "measure": "specification",
    "size": "specification",
    "price": "price",
    "model number": "model",
}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A category, or None, and why."""

    category: str | None
    why: str


def propose(profile: FieldProfile, items: int) -> Proposal:
    """Propose the category of one field of a feed of so many items."""
    if not profile.items:
        return Proposal(None, "no item has a value")
    if profile.items * _RARE < items:
        return Proposal(None, f"only {profile.items} of {items} items have it")
    shape = profile.shape()
    if shape and shape[0] in _SAY_NO_WORD and shape[1] >= _SHAPED:
        return Proposal(None, f"{shape[1]:.0%} of the values are of the shape: {shape[0]}")
    listed = profile.listed()
    named = meaning_of(profile.name)
    if named is None:
        return _by_values(profile, shape, listed)
    if listed and _contradicts(named, listed):
        return Proposal(listed[0], f"{listed[1]:.0%} of the values are listed as {listed[0]}")
    if named.meaning == NONE:
        return Proposal(None, f"the name says {named.listed!r}, which gives no words")
    return _by_name(profile, named, shape, listed)


def _contradicts(named: NameMeaning, listed: tuple[str, float]) -> bool:
    return (
        not named.whole
        and listed[0] not in (named.meaning, "brand")
        and (listed[1] >= _SURELY_LISTED)
    )


def _by_name(
    profile: FieldProfile,
    named: NameMeaning,
    shape: tuple[str, float] | None,
    listed: tuple[str, float] | None,
) -> Proposal:
    words = profile.share_with_words(named.meaning)
    if words < _GIVES_WORDS:
        kind = "numbers" if shape and shape[0] == "number" else "sentences or codes"
        return Proposal(
            None,
            f"the name says {named.listed!r} ({named.meaning}), but {1 - words:.0%} of the values "
            f"give no word: {kind}",
        )
    is_number = shape is not None and shape[0] == "number" and shape[1] >= _SHAPED
    if is_number and named.meaning == "specification" and not named.whole:
        return Proposal(None, f"the name says {named.listed!r}, but the numbers have no unit")
    why = f"the name says {named.listed!r}"
    if listed and listed[0] == named.meaning:
        why += f"; {listed[1]:.0%} of the values are listed as {listed[0]}"
    return Proposal(named.meaning, why)


def _by_values(
    profile: FieldProfile, shape: tuple[str, float] | None, listed: tuple[str, float] | None
) -> Proposal:
    if profile.items < _FEWEST_ITEMS:
        return Proposal(None, f"the name is not listed, and only {profile.items} items have it")
    if listed and listed[1] >= _LISTED:
        return Proposal(listed[0], f"{listed[1]:.0%} of the values are listed as {listed[0]}")
    if shape and shape[1] >= _SHAPED:
        category = _CATEGORY_OF_SHAPE.get(shape[0])
        why = f"{shape[1]:.0%} of the values are of the shape: {shape[0]}"
        return Proposal(category, why if category else f"{why}, which alone says nothing")
    return Proposal(None, "neither the name nor the values are listed: choose one by hand")
