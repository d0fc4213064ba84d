"""Digits of all scripts, and the signs around them, as ASCII writes them."""

import re
import unicodedata

_FOREIGN_DIGIT = re.compile(r"[^\D0-9]")
_LIKE_ASCII = str.maketrans(
    {"″": '"', "”": '"', "＂": '"', "“": '"', "′": "'", "’": "'", "＇": "'", "，": ",", "．": "."}
    | {"／": "/", "⁄": "/", "−": "-", "－": "-", "–": "-", "٫": ".", "٬": "'"}
)
_SIGN = re.compile(f"[{''.join(map(chr, _LIKE_ASCII))}]")


def like_ascii(text: str) -> str:
    """Write digits, and the signs around them, as ASCII does; every character keeps its place."""
    if _SIGN.search(text) is not None:
        text = text.translate(_LIKE_ASCII)
    return _FOREIGN_DIGIT.sub(_ascii_digit, text)


def _ascii_digit(digit: re.Match[str]) -> str:
    return str(unicodedata.decimal(digit.group()))
