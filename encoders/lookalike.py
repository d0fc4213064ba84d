"""Words that look like another: letters of two scripts within one token.

"раypal" with a Cyrillic "ра" is read as the Latin word, and is another
"""

from unicodedata import name

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
