"""Digits of all scripts, and the signs around them, as ASCII writes them."""

import re
import unicodedata

_FOREIGN_DIGIT = re.compile(r"[^\D0-9]")
_LIKE_ASCII = str.maketrans(
    {"″": '"', "”": '"', "＂": '"', "“": '"', "′": "'", "’": "'", "＇": "'", "，": ",", "．": "."}
    | {"／": "/", "⁄": "/", "−": "-", "－": "-", "–": "-", "٫": ".", "٬": "'", "º": "°"}
)
_UNLIKE_ASCII = re.compile(f"[{''.join(map(chr, _LIKE_ASCII))}]|{_FOREIGN_DIGIT.pattern}")


def like_ascii(text: str) -> str:
    """Write digits, and the signs around them, as ASCII does; every character keeps its place."""
    if _UNLIKE_ASCII.search(text) is None:
        return text
    return _FOREIGN_DIGIT.sub(_ascii_digit, text.translate(_LIKE_ASCII))


def _ascii_digit(digit: re.Match[str]) -> str:
    return str(unicodedata.decimal(digit.group()))
