"""What follows a number: the sign of a unit, such as an inch mark, or the word for one."""

import re
import unicodedata
from typing import NamedTuple

from kae.encoders.text.units import Unit, separable_units, units

# White space that texts do not have.
BETWEEN_TEXTS = "\x1e"
BEFORE_A_WORD = f" \t\n\u00a0([{BETWEEN_TEXTS}"
# What may be the unit after a number: degrees, inches, feet, or a word.
_UNIT = re.compile(
    r"(?P<degrees> ?[°º]) ?(?P<scale>[cf])(?![^\W_])"
    r"|(?P<inches>\"|'')|(?P<feet>')(?!(?!x\d)[^\W\d_])"
    r"|(?P<gap>[ \u00a0\u202f\u2009-]?)(?P<word>[^\W\d_]+[23²³]?)(?![^\W_])",
    re.IGNORECASE,
)
# The rest of a range of temperatures, whose unit is also that of its first number.
_TO_DEGREES = re.compile(
    r" ?(?:\.\.\.?|…|/|to|bis|~|-) ?[+-]?\d+(?:\.\d+)?"
    r"(?: ?[°º] ?|(?=[cf]))(?P<scale>[cf])(?![^\W_])",
    re.IGNORECASE,
)


class Following(NamedTuple):
    """What follows a number: its unit, where that ends, and the word for it if it is a sign."""

    unit: Unit | None
    end: int
    word: str | None


def unit_following(text: str, end: int) -> Following:
    """Return the unit after a number that ends at `end`."""
    if to := _TO_DEGREES.match(text, end):
        scale = to["scale"].lower()
        return Following(units()[scale], end, scale)
    sign = _UNIT.match(text, end)
    if sign is None:
        return Following(None, end, None)
    if sign["scale"]:
        scale = sign["scale"].lower()
        return Following(units()[scale], sign.end(), scale)
    if sign["inches"] or sign["feet"]:
        name, quote = ("inch", '"') if sign["inches"] else ("ft", "'")
        if _is_mark(text, sign, quote):
            return Following(units()[name], sign.end(), f" {name} ")
        return Following(None, end, None)
    word = unicodedata.normalize("NFKC", sign["word"]).casefold()
    known = units().get(word)
    if sign["gap"] and word not in separable_units():
        known = None
    return Following(known, end if known is None else sign.end(), None)


def _is_mark(text: str, sign: re.Match[str], quote: str) -> bool:
    """Whether a quote after a number is a mark of its unit, and does not close a quotation."""
    before = text.rfind(quote, text.rfind(BETWEEN_TEXTS, 0, sign.start()) + 1, sign.start())
    opens = before >= 0 and (before == 0 or text[before - 1] in BEFORE_A_WORD)
    return not opens or text[before + 1].isspace()
