"""The words in one value of a feed field.

"USB 2.0, HDMI; Wi-Fi"  ->  "usb 2.0", "hdmi", "wi fi"
"True"                  ->  nothing, since it is meaningless without the field's name
"""

import re
from collections.abc import Iterator

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.text.markup import plain_text
from kae.encoders.text.measures import canonical, is_number
from kae.encoders.text.normal_form import is_unspaced
from kae.encoders.text.search_form import NEWEST_FORM, SearchForm

VALUE_CHARACTERS = 2000
WORDS_OF_A_VALUE = 32
WORD_CHARACTERS = 64
WORD_TOKENS = 6
WORD_UNSPACED_TOKENS = 16
_PART_CHARACTERS = 40
_NUMERIC = {CATEGORY_INDEX["specification"], CATEGORY_INDEX["price"]}
_LINES = re.compile(r"\r?\n|\\n|;|<br\s*/?>|[\u2022\u3001\uff1b]")
# A comma between digits belongs to a number.
_COMMAS = re.compile(r"[,\uff0c\u060c](?!\d)|(?<!\d)[,\uff0c\u060c]")
_MEANINGLESS = frozenset(
    {"true", "false", "yes", "no", "y", "n", "none", "nil", "null", "nan", "na", "n a"}
    | {"unknown", "unspecified", "not specified", "not available", "not applicable"}
    | {"not supported"}
)


def words_of(
    value: str, category: int, form: SearchForm = NEWEST_FORM
) -> Iterator[tuple[str, str]]:
    """Yield each word of the value as (word, text), in order, at most WORDS_OF_A_VALUE."""
    found = 0
    for text in _parts(plain_text(value[:VALUE_CHARACTERS])):
        word = canonical(form.normalise(text))
        if is_word(word, category):
            yield word, text.strip()
            found += 1
            if found == WORDS_OF_A_VALUE:
                return


def _parts(value: str) -> Iterator[str]:
    for line in _LINES.split(value):
        pieces = _COMMAS.split(line)
        # Commas separate words only if all parts are short; otherwise it is a sentence.
        if len(pieces) > 1 and all(len(piece.strip()) <= _PART_CHARACTERS for piece in pieces):
            yield from pieces
        else:
            yield line


def is_word(word: str, category: int) -> bool:
    """Whether a normalised text can be a word of a category."""
    if not word or len(word) > WORD_CHARACTERS or word in _MEANINGLESS:
        return False
    if is_number(word) and category not in _NUMERIC:
        return False
    tokens = word.split(" ")
    unspaced = sum(map(is_unspaced, tokens))
    return unspaced <= WORD_UNSPACED_TOKENS and len(tokens) - unspaced <= WORD_TOKENS
