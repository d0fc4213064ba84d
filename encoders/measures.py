"""Numbers with a unit, and model numbers: words that are recognised by their shape.

"16 GB", "16GB" and "16.0 gb" are one word, "16gb".
"""

import re

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
# Units of one letter count only when written next to the number: "5 a" is rarely five amperes.
_UNIT = rf"(?:{_UNITS})"
_LONG_UNIT = rf"(?:{'|'.join(unit for unit in _UNITS.split('|') if len(unit) > 1)}|fl oz|m|v|w|l|g)"
_MEASURE = re.compile(rf"({_NUMBER})(?:({_UNIT})| ({_LONG_UNIT}))")
_ALL_UNITS = frozenset(_UNITS.split("|"))
_BARE_NUMBER = re.compile(_NUMBER)

# One alternation finds both shapes in one pass; a measure is tried first. It begins with the space
# before the token, which a search jumps to: looking back from every character costs twice as much.
SHAPES = re.compile(
    rf" (?:(?P<measure>{_NUMBER}(?:{_UNIT}| {_LONG_UNIT}))"
    r"|(?P<model>(?=[a-z]*\d)(?=\d*[a-z])[a-z\d]{3,24}))(?![^ ])"
)


def canonical(word: str) -> str:
    """One spelling for a number and for a measure; any other word as it is."""
    if not word[:1].isdecimal():
        return word
    measure = _MEASURE.fullmatch(word)
    if measure:
        number, attached, apart = measure.groups()
        return _without_zeros(number) + (attached or apart)
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
