"""Spellings of one word: English plurals, British and American forms, joined or separate.

    spelling_key("toner cartridges") == spelling_key("toner cartridge")
    spelling_key("grey") == spelling_key("gray")
    spelling_key("wi fi") == spelling_key("wifi")
    spelling_key("groesse") == spelling_key("grosse"), which is how "Größe" is searched for
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


# An umlaut written as two letters; "aue", "quelle" and short words ("poet", "toe") are none.
_UMLAUT = re.compile(r"(?<![aeiouyq])ue|(?<![aeiouy])oe|ae(?![aeiouy])")
_UMLAUT_CHARACTERS = 5


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
        token = token[:-3] + "y"
    elif _PLURAL_ES.fullmatch(token):
        token = token[:-2]
    elif _PLURAL.fullmatch(token):
        token = token[:-1]
    return _without_umlauts(token)


def umlaut_key(form: str) -> str:
    """Return the key that a form shares with those that write its umlauts as two letters."""
    return " ".join(map(_without_umlauts, form.split(" ")))


def _without_umlauts(token: str) -> str:
    if len(token) < _UMLAUT_CHARACTERS or not token.isalpha():
        return token
    return _UMLAUT.sub(lambda found: found[0][0], token)


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
