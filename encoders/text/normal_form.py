"""One normal form for every text: tokens separated by single spaces.

    normalise("Ultima™ HD-15, 1.5m")  ->  "ultima hd 15 1.5m"

Scripts without spaces between words (Chinese, Japanese, Thai, ...) and Hangul, whose compounds have
none, get a token for each character, so that a phrase is found anywhere in a text.
"""

import re
import unicodedata
from collections.abc import Iterable

from kae.encoders.text.numbers import MINUS, read_all_numbers, read_numbers

# Part of the codebook's fingerprint: raise it when normalise gives other results.
NORMALISATION = 1
# Neither letters nor separators: soft hyphen, joiners, direction marks, variation selectors.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufe00-\ufe0f]")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff]"
)
# NFKC would turn these into letters of the preceding word.
_TRADE_MARKS = re.compile("[\u2122\u2120]")
# Non-ASCII characters that are neither letters nor digits.
_FOREIGN_SIGNS = re.compile(r"[^\w\x00-\x7f]+")
_LEADING_MARKS = re.compile(r"(?<![^ ])(?!-\d)[^\w ]+")
# Points that are not between digits.
_LONE_POINTS = re.compile(r"\.(?:(?!\d)|(?<!\d\.))")
# A token that no text contains: it ends each of several texts that are normalised together.
END = "\0"
_END_BYTE = 0xFF  # never occurs in UTF-8
# ASCII letters, digits, points and the minus of a number stay; bytes above ASCII are parts of other
# characters.
_KEPT = {".": ".", MINUS: "-"}
_ASCII = bytes(
    code if chr(code).isalnum() else ord(_KEPT.get(chr(code), " ")) for code in range(128)
).lower() + bytes(0 if code == _END_BYTE else code for code in range(128, 256))


def normalise(text: str) -> str:
    """Fold case, width and punctuation; keep letters, digits, and '.' between digits."""
    return " ".join(tokens_of(text))


def tokens_of(text: str) -> list[str]:
    """Return the tokens of the normal form."""
    read = read_numbers(text)
    return _plain(read if read.isascii() else _foreign(read)).split()


def tokens_of_all(texts: Iterable[str]) -> list[str]:
    """Return the tokens of many texts, with END after each, in a third of the time."""
    read = read_all_numbers(texts)
    ended = [(text if text.isascii() else _foreign(text)).encode() for text in read]
    ended.append(b"")
    return _plain_bytes(b" \xff ".join(ended)).split()


def contains_phrase(text: str, phrase: str) -> bool:
    """Whether `text` contains the tokens of `phrase` in a row; both are normalised."""
    return bool(phrase) and f" {phrase} " in f" {text} "


def is_unspaced(token: str) -> bool:
    """Whether a token is one character of a script without spaces between words."""
    return _UNSPACED.match(token) is not None


def _foreign(text: str) -> str:
    """Normalise what is beyond ASCII; `_plain` does the rest."""
    text = _plain(_FOREIGN_SIGNS.sub(_only_marks, _fold(text)))
    if _UNSPACED.search(text):
        text = _separate(text)
    return _LEADING_MARKS.sub("", text)


def _plain(text: str) -> str:
    """Remove ASCII punctuation, and points outside numbers."""
    return _plain_bytes(text.encode())


def _plain_bytes(text: bytes) -> str:
    plain = text.translate(_ASCII).decode()
    return _LONE_POINTS.sub(" ", plain) if "." in plain else plain


def _fold(text: str) -> str:
    """Apply NFKC and casefold until nothing changes (twice for all but rare letters)."""
    folded = _INVISIBLE.sub("", _TRADE_MARKS.sub(" ", text))
    while (again := unicodedata.normalize("NFKC", folded).casefold()) != folded:
        folded = again
    return folded


def _only_marks(signs: re.Match[str]) -> str:
    return "".join([sign if _is_mark(sign) else " " for sign in signs.group()])


def _separate(text: str) -> str:
    """Put spaces around every unspaced character and its marks."""
    pieces: list[str] = []
    after_unspaced = False
    for character in text:
        if not _is_mark(character):
            unspaced = is_unspaced(character)
            if unspaced or after_unspaced:
                pieces.append(" ")
            after_unspaced = unspaced
        pieces.append(character)
    return "".join(pieces)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"
