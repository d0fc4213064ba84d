"""Spellings of one word: English plurals, British and American forms, joined or separate.

    spelling_key("toner cartridges") == spelling_key("toner cartridge")
    spelling_key("grey") == spelling_key("gray")
    spelling_key("wi fi") == spelling_key("wifi")
    spelling_key("0.25in") == spelling_key("0.25inch")

Words with the same key share a slot; the words themselves stay as they were written.

It also detects lookalikes: tokens that mix letters of several scripts. "раypal" with a Cyrillic
"ра" reads like the Latin word, and is another.
"""

import re
from unicodedata import name

from kae.encoders.text.measures import inch_key

_AMERICAN = {
    "grey": "gray",
    "colour": "color",
    "aluminium": "aluminum",
    "fibre": "fiber",
    "theatre": "theater",
    "centre": "center",
    "jewellery": "jewelry",
    "litre": "liter",
    "metre": "meter",
    "tyre": "tire",
    "moulded": "molded",
    "matt": "matte",
}
# Not the plurals they look like: "glass", "bus", "lens", "iris", "series", "wireless".
_PLURAL = re.compile(r"[a-z]{2,}(?<![sui])(?<!serie)(?<!len)s")
_PLURAL_IES = re.compile(r"[a-z]{3,}(?<!ser)ies")
_PLURAL_ES = re.compile(r"[a-z]+(?:x|ch|sh|ss)es")


def spelling_key(word: str) -> str:
    """Return the key that all spellings of a word share."""
    key = "".join(map(token_spelling_key, word.split(" ")))
    return inch_key(key) if key[:1].isdecimal() else key


def token_spelling_key(token: str) -> str:
    """Return the key that all spellings of a token share."""
    if token[:1].isdecimal():
        return inch_key(token)
    token = _AMERICAN.get(token, token)
    if _PLURAL_IES.fullmatch(token):
        return token[:-3] + "y"
    if _PLURAL_ES.fullmatch(token):
        return token[:-2]
    if _PLURAL.fullmatch(token):
        return token[:-1]
    return token


_LOOKALIKE_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")
# Letters of units: 5μm, 10kω.
_OF_MEASURES = frozenset("μω")


def mixed_scripts(form: str) -> tuple[str, ...]:
    """Return the scripts that some token of a normalised form mixes; () if none does."""
    for token in form.split(" "):
        letters = (name(letter, "") for letter in token if letter not in _OF_MEASURES)
        scripts = {letter.partition(" ")[0] for letter in letters}.intersection(_LOOKALIKE_SCRIPTS)
        if len(scripts) > 1:
            return tuple(sorted(scripts))
    return ()
