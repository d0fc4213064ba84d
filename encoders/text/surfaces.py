"""The surface form of a normalised word: how a text spells it.

surface_of("Ultima™ HD-15, 1.5m", "hd 15")  ->  "HD-15"
"""

from collections.abc import Sequence
from itertools import pairwise

from kae.encoders.text.numbers import number_spans
from kae.encoders.text.search_form import NEWEST_FORM, SearchForm


def surface_of(text: str, words: str, form: SearchForm = NEWEST_FORM) -> str | None:
    """Return the first and shortest part of `text` whose search form is `words`.

    None if there is none: punctuation between two letters can vanish.
    """
    wanted = form.tokens_of(words)
    fields = _fields(text, form.decimal_mark)
    tokens = [(token, field) for field in fields for token in form.tokens_of(text[slice(*field)])]
    for place in range(len(tokens) - len(wanted) + 1):
        window = tokens[place : place + len(wanted)]
        if [token for token, _ in window] == wanted:
            return _shortest(text[window[0][1][0] : window[-1][1][1]], wanted, form)
    return None


def _fields(text: str, decimal_mark: str) -> list[tuple[int, int]]:
    """Return the spans between white space, which no token crosses but a number with its unit."""
    spaces = {place for place, character in enumerate(text) if character.isspace()}
    # The unit after a number can decide how it is read.
    numbers = [range(one.begin, one.unit_end) for one in number_spans(text, decimal_mark)]
    marks = sorted(spaces.difference(*numbers))
    return [
        (before + 1, mark)
        for before, mark in pairwise((-1, *marks, len(text)))
        if mark > before + 1
    ]


def _shortest(part: str, wanted: Sequence[str], form: SearchForm) -> str | None:
    """Trim what the words do not need, first from the left, then from the right."""
    while _contains(form.tokens_of(part[1:]), wanted):
        part = part[1:]
    while _contains(form.tokens_of(part[:-1]), wanted):
        part = part[:-1]
    return part if form.tokens_of(part) == list(wanted) else None


def _contains(tokens: Sequence[str], wanted: Sequence[str]) -> bool:
    places = range(len(tokens) - len(wanted) + 1)
    return any(list(tokens[place : place + len(wanted)]) == list(wanted) for place in places)
