"""One normal form for every text: tokens separated by single spaces.

    normalise("Ultima™ HD-15, 1.5m")  ->  "ultima hd 15 1.5m"

Scripts written without spaces between words (Chinese, Japanese, Thai, ...) and Hangul, whose
compounds are, get a token for each character, so a phrase is found wherever it stands.
"""

import re
import unicodedata

# A part of the codebook's fingerprint: raise it when normalise gives another result.
NORMALISATION = 1

# Neither letters nor separators: soft hyphen, joiners, direction marks, variation selectors.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufe00-\ufe0f]")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff]"
)
_LONE_POINT = re.compile(r"(?<!\d)\.|\.(?!\d)")
# NFKC would spell these out as letters of the word before them.
_TRADE_MARKS = {0x2122: " ", 0x2120: " "}

_ASCII = {
    code: chr(code).lower() if chr(code).isalnum() or chr(code) == "." else " "
    for code in range(128)
}


class _Characters(dict[int, str]):
    """What one character of a folded text becomes: itself or a space."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        kept = character.isalnum() or character == "." or _is_mark(character)
        result = character if kept else " "
        if code < 0x10000:  # bounds the memory that odd input can claim
            self[code] = result
        return result


_CHARACTERS = _Characters()


def normalise(text: str) -> str:
    """Fold case, width and punctuation; keep letters, digits, and '.' between digits."""
    if text.isascii():
        spaced = text.translate(_ASCII)
    else:
        spaced = _fold(text).translate(_CHARACTERS)
        if _UNSPACED.search(spaced):
            spaced = _separate(spaced)
    if "." in spaced:
        spaced = _LONE_POINT.sub(" ", spaced)
    tokens = spaced.split()
    if not text.isascii():
        tokens = [kept for token in tokens if (kept := _without_leading_marks(token))]
    return " ".join(tokens)


def contains_phrase(text: str, phrase: str) -> bool:
    """Whether the tokens of `phrase` stand in `text` next to each other; both normalised."""
    return bool(phrase) and f" {phrase} " in f" {text} "


def is_unspaced(token: str) -> bool:
    """Whether a token is one character of a script without spaces between words."""
    return _UNSPACED.match(token) is not None


def _fold(text: str) -> str:
    """NFKC and casefold until neither changes anything (two rounds for all but rare letters)."""
    folded = _INVISIBLE.sub("", text.translate(_TRADE_MARKS))
    while (again := unicodedata.normalize("NFKC", folded).casefold()) != folded:
        folded = again
    return folded


def _separate(text: str) -> str:
    """Put spaces around every unspaced character, its marks kept with it."""
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


def _without_leading_marks(token: str) -> str:
    while token and not token[0].isalnum():
        token = token[1:]
    return token


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"
