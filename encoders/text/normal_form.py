"""One normal form for every text: tokens separated by single spaces.

    normalise("Ultima™ HD-15, 1.5m")  ->  "ultima hd 15 1.5m"
    normalise("C++, C#, A+ and .NET")  ->  "c++ c# a+ and .net"

It keeps the letters as they are written; text/search_form.py folds them for items and queries.
Scripts without spaces between words (Chinese, Japanese, Thai, ...) and Hangul, whose compounds have
none, get a token for each character, so that a phrase is found anywhere in a text.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping

from kae.encoders.text.numbers import MINUS, read_all_numbers, read_numbers
from kae.encoders.text.signs import POINT, SIGN_BYTES, keep_signs

# Part of the codebook's fingerprint: raise it when normalise gives other results. 1 kept no signs,
# read no numbers, and folded no letters for search.
NORMALISATION = 2
WITHOUT_SIGNS = 1
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
_LEADING_MARKS = re.compile(r"(?<![^ ])[^\w\x00-\x7f]+")
# Points that are not between digits.
_LONE_POINTS = re.compile(r"\.(?:(?!\d)|(?<!\d\.))")
# A token that no text contains: it ends each of several texts that are normalised together.
END = "\0"
_END_BYTE = 0xFF  # never occurs in UTF-8
# ASCII letters, digits, points and the minus of a number stay; bytes above ASCII are parts of other
# characters, but for END and the signs that are kept.
_KEPT = {".", MINUS}
_ASCII = bytes(
    code if chr(code).isalnum() or chr(code) in _KEPT else ord(" ") for code in range(128)
).lower() + bytes({_END_BYTE: 0, **SIGN_BYTES}.get(code, code) for code in range(128, 256))
# Replacements of single characters, by code point.
Letters = Mapping[int, str]


def normalise(text: str) -> str:
    """Fold case, width and punctuation; keep letters, digits, and signs that make a word."""
    return " ".join(tokens_of(text))


def tokens_of(
    text: str,
    letters: Letters | None = None,
    version: int = NORMALISATION,
    decimal_mark: str = ".",
) -> list[str]:
    """Return the tokens of the normal form, with some letters replaced."""
    read = _without_numbers(text) if version == WITHOUT_SIGNS else read_numbers(text, decimal_mark)
    plain = read if read.isascii() else _foreign(read, letters, version)
    return _words(plain.encode(), version)


def tokens_of_all(
    texts: Iterable[str],
    letters: Letters | None = None,
    version: int = NORMALISATION,
    decimal_mark: str = ".",
) -> list[str]:
    """Return the tokens of many texts, with END after each, in a third of the time."""
    given = list(texts)
    read = (
        map(_without_numbers, given)
        if version == WITHOUT_SIGNS
        else read_all_numbers(given, decimal_mark)
    )
    ended = [
        (text if text.isascii() else _foreign(text, letters, version)).encode() for text in read
    ]
    ended.append(b"")
    return _words(b" \xff ".join(ended), version)


def contains_phrase(text: str, phrase: str) -> bool:
    """Whether `text` contains the tokens of `phrase` in a row; both are normalised."""
    return bool(phrase) and f" {phrase} " in f" {text} "


def is_unspaced(token: str) -> bool:
    """Whether a token is one character of a script without spaces between words."""
    return _UNSPACED.match(token) is not None


def _foreign(text: str, letters: Letters | None, version: int) -> str:
    """Normalise what is beyond ASCII; `_plain` does the rest."""
    text = _FOREIGN_SIGNS.sub(_only_marks, _fold(text))
    if _UNSPACED.search(text):
        text = _separate(text)
    text = _LEADING_MARKS.sub("", _plain(text.encode(), version))
    # Last, so that the search form of a text is that of its normal form.
    return text if letters is None else text.translate(letters)


def _without_numbers(text: str) -> str:
    """A text of which no number is read has none with a minus."""
    return text.replace(MINUS, " ")


def _words(text: bytes, version: int) -> list[str]:
    return _plain(text, version).replace(MINUS, "-").split()


def _plain(text: bytes, version: int) -> str:
    """Remove ASCII punctuation and points outside numbers, but no signs that make a word."""
    if version != WITHOUT_SIGNS:
        text = keep_signs(text)
    plain = text.translate(_ASCII).decode()
    if "." in plain:
        plain = _LONE_POINTS.sub(" ", plain)
    return plain.replace(POINT, ".") if POINT in plain else plain


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
