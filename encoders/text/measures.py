"""Numbers with a unit, and model numbers: words that are recognised by their shape.

"16 GB", "16GB" and "16.0 gb" are one word, "16gb".
"""

import re
from collections.abc import Sequence

_UNITS = (
    # length, area, volume
    "nm|mm|cm|dm|m|km|in|inch|inches|ft|feet|yd|mil|m2|m3|ml|cl|l|ltr|litre|litres|liter|liters|"
    "oz|ounce|ounces|gal|gallon|pt|qt|"
    # mass, dose
    "mg|g|gram|grams|kg|lb|lbs|pound|pounds|mcg|iu|"
    # information
    "b|kb|mb|gb|tb|kbps|mbps|gbps|bit|bits|dpi|ppi|ppm|mp|px|"
    # electricity, light, sound, time, temperature
    "mv|v|kv|vac|vdc|ma|a|mah|ah|w|kw|wh|kwh|va|kva|hz|khz|mhz|ghz|ohm|lm|cd|nits|db|btu|rpm|bar|"
    "ms|h|hr|hrs|min|c|f|k|"
    # counts
    "pc|pcs|pk|pack|packs|ct|count|tablets|capsules|sheets|pages|port|ports|way|pin|cell|cells|"
    "gauge|awg|u"
)
_NUMBER = r"\d{1,9}(?:\.\d{1,6})?"
_ALL_UNITS = frozenset(_UNITS.split("|"))
# Most units of one letter must touch the number: "5 a" is rarely five amperes.
_SEPARABLE_UNITS = frozenset(unit for unit in _ALL_UNITS if len(unit) > 1 or unit in "mvwlg")
_FLUID_OUNCES = ["fl", "oz"]
_SEPARABLE = "|".join(sorted({*_SEPARABLE_UNITS, " ".join(_FLUID_OUNCES)}))
_MEASURE = re.compile(rf"({_NUMBER})(?:({_UNITS})| ({_SEPARABLE}))")
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
    return _MEASURE.fullmatch(word) is not None


def is_model(word: str) -> bool:
    return not is_measure(word) and _MODEL.fullmatch(word) is not None


def is_part_number(token: str) -> bool:
    """Whether a number without a unit is likely a model number instead of a count or measure."""
    return _PART_NUMBER.fullmatch(token) is not None


def canonical(word: str) -> str:
    """Return the canonical spelling of a number or a measure; any other word unchanged."""
    if not word[:1].isdecimal():
        return word
    measure = _MEASURE.fullmatch(word)
    if measure:
        number, attached, separate = measure.groups()
        return _without_zeros(number) + (attached or separate)
    if _BARE_NUMBER.fullmatch(word):
        return _without_zeros(word)
    return word


def is_number(word: str) -> bool:
    return word.replace(".", "").replace(" ", "").isdecimal()


def is_unit(token: str) -> bool:
    return token in _ALL_UNITS


def _without_zeros(number: str) -> str:
    whole, point, fraction = number.partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}{point}{fraction}" if fraction else whole
