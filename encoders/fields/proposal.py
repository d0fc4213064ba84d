"""Proposes a mapping for an unknown feed: the roles of its columns, the categories of its fields.

A column has the role that its name is listed for, if its values fit it; if no name is listed, the
values alone can identify id, title and description. A field has the category that its name is
listed for, if its values contain words; if its name is unknown, its values decide, by the bundled
words or by their shape. Every proposal has a reason.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

from kae.encoders.fields.names import (
    NONE,
    ROLES,
    NameMeaning,
    language_of,
    meaning_of,
    role_rank,
)
from kae.encoders.fields.profile import FieldProfile
from kae.encoders.text.normal_form import normalise

ID_CHARACTERS = 256
# Least shares of items with a value, and of distinct values.
_FILLED = 0.9
_DISTINCT = 0.98
_TITLE_CHARACTERS = (3.0, 300.0)
_TITLE_TOKENS = 2.0
_DESCRIPTION_CHARACTERS = 80.0
_SAMPLED_VALUES = 100


def find_roles(columns: Sequence[FieldProfile], items: int) -> dict[str, str]:
    """Return role -> column name, without the roles that no column fits."""
    found: dict[str, str] = {}
    for role in ROLES:
        free = [column for column in columns if column.name not in found.values()]
        language = language_of(found.get("title", ""))
        column = _roles_by_name(free, role, items, language) or _roles_by_values(free, role, items)
        if column is not None:
            found[role] = column.name
    return found


def _roles_by_name(
    columns: Iterable[FieldProfile], role: str, items: int, language: str | None
) -> FieldProfile | None:
    """Return the best named column, a description in the language of the title."""
    ranked = [
        (_language_rank(column.name, language), rank, place, column)
        for place, column in enumerate(columns)
        if (rank := role_rank(column.name, role)) is not None and _FITS[role](column, items)
    ]
    return min(ranked)[3] if ranked else None


def _language_rank(name: str, wanted: str | None) -> int:
    """Return 0 for the wanted language or none, then English, which most bundled words are in."""
    language = language_of(name)
    return 0 if language in (wanted, None) else 1 if language == "en" else 2


def _roles_by_values(columns: Sequence[FieldProfile], role: str, items: int) -> FieldProfile | None:
    fit = [column for column in columns if _FITS[role](column, items)]
    fit = [column for column in fit if not _is_named_otherwise(column.name, role)] or fit
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


def _is_named_otherwise(name: str, role: str) -> bool:
    return any(role_rank(name, other) is not None for other in ROLES if other != role)


def _is_id(column: FieldProfile, items: int) -> bool:
    return (
        column.items == items > 0
        and column.distinct >= _DISTINCT * items
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


_FITS: dict[str, Callable[[FieldProfile, int], bool]] = {
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
    """Return the mean number of tokens of a value."""
    values = list(column.values)[:_SAMPLED_VALUES]
    return sum(len(normalise(value).split()) for value in values) / max(1, len(values))


# Shares of a field's values.
_SHAPED = 0.6
_GIVES_WORDS = 0.3
_LISTED = 0.5
# Values override a name that only contains a listed word from this share on.
_OVERRIDING = 0.8
# The values of fewer items say nothing about the field.
_MIN_ITEMS = 5
# A field that fewer than one item in so many has is not worth mapping.
_RARE = 1000
_SHAPES_WITHOUT_WORDS = {"address", "markup", "date", "yes or no"}
_CATEGORY_OF_SHAPE = {
    "measure": "specification",
    "size": "specification",
    "price": "price",
    "model number": "model",
}


@dataclass(frozen=True, slots=True)
class FieldProposal:
    """The category of a field, or None, and the reason."""

    category: str | None
    why: str


def propose_category(profile: FieldProfile, items: int) -> FieldProposal:
    """Propose the category of one field of a feed of `items` items."""
    if not profile.items:
        return FieldProposal(None, "no item has a value")
    if profile.items * _RARE < items:
        return FieldProposal(None, f"only {profile.items} of {items} items have it")
    shape = profile.shape()
    if shape and shape[0] in _SHAPES_WITHOUT_WORDS and shape[1] >= _SHAPED:
        return FieldProposal(None, f"{shape[1]:.0%} of the values are of the shape: {shape[0]}")
    listed = profile.listed()
    named = meaning_of(profile.name)
    if named is None:
        return _by_values(profile, shape, listed)
    if listed and _contradicts(named, listed):
        return FieldProposal(listed[0], f"{listed[1]:.0%} of the values are listed as {listed[0]}")
    if named.meaning == NONE:
        return FieldProposal(None, f"the name says {named.listed!r}, which has no words")
    return _by_name(profile, named, shape, listed)


def _contradicts(named: NameMeaning, listed: tuple[str, float]) -> bool:
    return (
        not named.whole and listed[0] not in (named.meaning, "brand") and (listed[1] >= _OVERRIDING)
    )


def _by_name(
    profile: FieldProfile,
    named: NameMeaning,
    shape: tuple[str, float] | None,
    listed: tuple[str, float] | None,
) -> FieldProposal:
    words = profile.share_with_words(named.meaning)
    if words < _GIVES_WORDS:
        kind = "numbers" if shape and shape[0] == "number" else "sentences or codes"
        return FieldProposal(
            None,
            f"the name says {named.listed!r} ({named.meaning}), but {1 - words:.0%} of the values "
            f"give no word: {kind}",
        )
    is_number = shape is not None and shape[0] == "number" and shape[1] >= _SHAPED
    if is_number and named.meaning == "specification" and not named.whole:
        return FieldProposal(None, f"the name says {named.listed!r}, but the numbers have no unit")
    why = f"the name says {named.listed!r}"
    if listed and listed[0] == named.meaning:
        why += f"; {listed[1]:.0%} of the values are listed as {listed[0]}"
    return FieldProposal(named.meaning, why)


def _by_values(
    profile: FieldProfile, shape: tuple[str, float] | None, listed: tuple[str, float] | None
) -> FieldProposal:
    if profile.items < _MIN_ITEMS:
        return FieldProposal(
            None, f"the name is not listed, and only {profile.items} items have it"
        )
    if listed and listed[1] >= _LISTED:
        return FieldProposal(listed[0], f"{listed[1]:.0%} of the values are listed as {listed[0]}")
    if shape and shape[1] >= _SHAPED:
        category = _CATEGORY_OF_SHAPE.get(shape[0])
        why = f"{shape[1]:.0%} of the values are of the shape: {shape[0]}"
        return FieldProposal(category, why if category else f"{why}, which alone says nothing")
    return FieldProposal(None, "neither the name nor the values are listed: choose one by hand")
