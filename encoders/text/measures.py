"""Numbers with a unit, and model numbers: words that are recognised by their shape.

"16 GB", "16GB" and "16.0 gb" are one word, "16gb"; "2 liters" and "2 l" are "2l" (units.py). An
inch is written "in" or "inch"; such words differ, and share their spelling key (spelling.py).
"""

import re
from collections.abc import Iterator, Sequence

from kae.encoders.text.units import separable_units, units

_NUMBER = r"-?\d{1,9}(?:\.\d{1,6})?"
INCHES = ("inch", "in")
_FLUID_OUNCES = ["fl", "oz"]
_SEPARABLE_UNITS = separable_units()
_MEASURE = re.compile(rf"({_NUMBER})( ?)([^\d. ][^.]*)")
# The name of each unit by how it may be written: behind its number, and behind a space.
_TOUCHING = {spelling: unit.name for spelling, unit in units().items()} | {"fl oz": "fl oz"}
_APART = {one: _TOUCHING[one] for one in (*_SEPARABLE_UNITS, "fl oz")}
_MODEL = re.compile(r"(?=[a-z]*\d)(?=\d*[a-z])[a-z\d]{3,24}")
_BARE_NUMBER = re.compile(_NUMBER)
_PART_NUMBER = re.compile(r"\d{3,}")


def unit_after(tokens: Sequence[str], place: int) -> int:
    """Return how many tokens after the number at `place` are its unit; 0 for none."""
    following = tokens[place + 1 : place + 3]
    if following and following[0] in _SEPARABLE_UNITS:
        return 1
    return 2 if following == _FLUID_OUNCES else 0


def is_bare_number(token: str) -> bool:
    """Whether a token is a number, which a following unit makes a measure."""
    return _BARE_NUMBER.fullmatch(token) is not None


def is_measure(word: str) -> bool:
    return _split(word) is not None


def is_model(word: str) -> bool:
    return not is_measure(word) and _MODEL.fullmatch(word) is not None


def is_part_number(token: str) -> bool:
    """Whether a number without a unit is likely a model number instead of a count or measure."""
    return _PART_NUMBER.fullmatch(token) is not None


def canonical(word: str) -> str:
    """Return the canonical spelling of a number or a measure; any other word unchanged."""
    if not (word[:1].isdecimal() or word[:1] == "-"):
        return word
    if measure := _split(word):
        number, unit = measure
        return _without_zeros(number) + unit
    if _BARE_NUMBER.fullmatch(word):
        return _without_zeros(word)
    return word


def inch_key(word: str) -> str:
    """Return the canonical spelling of a measure, "inch" for "in"; any other word unchanged."""
    measure = _split(word)
    if measure is None:
        return word
    number, unit = measure
    return _without_zeros(number) + ("inch" if unit == "in" else unit)


def measure_spellings(word: str) -> Iterator[tuple[str, str]]:
    """Yield (number, unit) for every spelling of a measure's unit; nothing for another word."""
    measure = _split(word)
    if measure is None:
        return
    number, unit = measure
    names = INCHES if unit in INCHES else (unit,)
    for name in names:
        for spelling in units()[name].spellings if name in units() else (name,):
            yield _without_zeros(number), spelling


def _split(word: str) -> tuple[str, str] | None:
    """Return the number and the unit's name of a measure."""
    measure = _MEASURE.fullmatch(word)
    if measure is None:
        return None
    number, gap, spelling = measure.groups()
    unit = (_APART if gap else _TOUCHING).get(spelling)
    return None if unit is None else (number, unit)


def is_number(word: str) -> bool:
    return word.removeprefix("-").replace(".", "").replace(" ", "").isdecimal()


def is_unit(token: str) -> bool:
    return token in units()


def _without_zeros(number: str) -> str:
    whole, point, fraction = number.partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}{point}{fraction}" if fraction else whole
