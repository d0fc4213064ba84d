"""Spellings of one word: English plurals, British and American forms, written apart or together.

    one_spelling("toner cartridges") == one_spelling("toner cartridge")
    one_spelling("grey") == one_spelling("gray")
    one_spelling("wi fi") == one_spelling("wifi")

Words with one spelling share a slot; none is changed, so a text keeps the form it was written in.

Words that look like another: letters of two scripts within one token.

"раypal" with a Cyrillic "ра" is read as the Latin word, and is another
"""

import re
from unicodedata import name

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


def one_spelling(word: str) -> str:
    """The form that all spellings of a word share."""
    return "".join(map(token_spelling, word.split(" ")))


def token_spelling(token: str) -> str:
    """The form that all spellings of a token share."""
    token = _AMERICAN.get(token, token)
    if _PLURAL_IES.fullmatch(token):
        return token[:-3] + "y"
    if _PLURAL_ES.fullmatch(token):
        return token[:-2]
    if _PLURAL.fullmatch(token):
        return token[:-1]
    return token


_ALIKE = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")
# Units: 5μm, 10kω.
_OF_MEASURES = frozenset("μω")


def mixed_scripts(form: str) -> tuple[str, ...]:
    """The scripts that one token of a normalised form mixes; none where all tokens are of one."""
    for token in form.split(" "):
        letters = (name(letter, "") for letter in token if letter not in _OF_MEASURES)
        scripts = {letter.partition(" ")[0] for letter in letters}.intersection(_ALIKE)
        if len(scripts) > 1:
            return tuple(sorted(scripts))
    return ()
