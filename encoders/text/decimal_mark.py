"""The decimal mark of a catalog, "." or ",": how numbers are read that leave it open."""

import re
from collections import Counter
from collections.abc import Iterable

from kae.encoders.text.units import units

# One or two decimals, or a mark of thousands and then another mark.
_UNDOUBTED = re.compile(
    r"(?<![\w.,])(?:\d{1,3}(?:\.\d{3})+(?=,)|\d{1,3}(?:,\d{3})+(?=\.)|\d+(?=[.,]\d{1,2}(?!\d)))"
    r"(?P<mark>[.,])\d+ ?(?P<unit>[^\W\d_]+)"
)


def find_decimal_mark(texts: Iterable[str]) -> str:
    """Return the decimal mark of a catalog's texts: the one of most numbers that leave no doubt.

    30,5 m and 1.234,5 g are for ","; 30.5 m and 1,234.5 g are for ".". Without a majority: ".".
    """
    votes: Counter[str] = Counter()
    for text in texts:
        for found in _UNDOUBTED.finditer(text):
            if found["unit"].casefold() in units():
                votes[found["mark"]] += 1
    return "," if votes[","] > votes["."] else "."
