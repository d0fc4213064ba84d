"""Where a value ends, as punctuation has it: brackets come in pairs, and separators separate.

"8 count)"  ->  "8 count"        "2 ea (Pack of 3" before ")"  ->  "2 ea (Pack of 3)"
"""

_SEPARATORS = frozenset("-\u2013\u2014,;:|/~\u2022\u00b7")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_OPENING = {closing: opening for opening, closing in _CLOSING.items()}


def with_whole_borders(text: str, begin: int, end: int) -> tuple[int, int]:
    """The borders of a value in `text`, moved to where punctuation wants them; may be empty."""
    while begin < end:
        first, last = text[begin], text[end - 1]
        unclosed = text.count(first, begin, end) > text.count(
            _CLOSING.get(first, first), begin, end
        )
        unopened = text.count(last, begin, end) > text.count(_OPENING.get(last, last), begin, end)
        if first.isspace() or first in _SEPARATORS or unclosed:
            begin += 1
        elif last.isspace() or last in _SEPARATORS or unopened:
            end -= 1
        else:
            break
    for opening, closing in _CLOSING.items():
        if text.count(opening, begin, end) == text.count(closing, begin, end) + 1:
            # Part of the pair was cut off, and nothing else: it stands right behind.
            end += text.startswith(closing, end)
    return begin, end
