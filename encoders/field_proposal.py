"""Which category a field's words belong to, proposed from its name and its values, with the reason.

The name says it, if it is listed; the values must then give words. A field whose name says nothing
is proposed by its values alone: by what the bundled vocabularies list, or by their shape.
"""

from dataclasses import dataclass

from kae.encoders.field_names import NONE, NameMeaning, meaning_of
from kae.encoders.field_profile import FieldProfile

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
