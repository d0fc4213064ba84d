"""Where a value ends, as punctuation has it: brackets come in pairs, and separators separate.

"8 count)"  ->  "8 count"        "2 ea (Pack of 3" before ")"  ->  "2 ea (Pack of 3)"

From the scores of labels to the values that stand in a text.

A label says that a word begins a value of a *kind* (B), goes on in it (I), or is in none (O). The
kinds are finer than the 18 categories, "flavor" and "scent" being two kinds of modifier: an item
has one value of each kind, the last one that its title names, as in the titles learned from.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kae.encoders.tagger.exact import Floats, weights

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


# Of a value whose least sure word is less sure than this, nothing is said: it is wrong more often
# than right, and each wrong value costs F1 what a missing one does.
LEAST_SURE = 0.35


@dataclass(frozen=True, slots=True)
class Span:
    """A value of one kind: its first word, the word after its last, how sure its least sure is."""

    kind: int
    begin: int
    end: int
    score: float


def best_path(scores: Floats) -> list[int]:
    """The labels with the highest sum of scores in which every I follows a B or I of its kind.

    Shape: scores (words, 1 + 2 * kinds): O, then B of each kind, then I of each kind.
    """
    kinds = scores.shape[1] // 2
    begins, ends = np.arange(1, 1 + kinds), np.arange(1 + kinds, 1 + 2 * kinds)
    reached = scores[0].copy()
    reached[ends] = -np.inf
    before = np.empty(scores.shape, np.intp)
    for word in range(1, len(scores)):
        before[word] = reached.argmax()
        before[word, ends] = np.where(reached[ends] >= reached[begins], ends, begins)
        reached = reached[before[word]] + scores[word]
    path = [int(reached.argmax())]
    for word in range(len(scores) - 1, 0, -1):
        path.append(int(before[word, path[-1]]))
    return path[::-1]


def spans_of(scores: Floats) -> list[Span]:
    """The spans of a text, one of each kind, in the order of the text."""
    if not len(scores):
        return []
    sure = [span for span in _spans(best_path(scores), scores) if span.score >= LEAST_SURE]
    last = {span.kind: span for span in sure}
    return sorted(last.values(), key=lambda span: span.begin)


def _spans(path: Sequence[int], scores: Floats) -> Iterator[Span]:
    whole, total = weights(scores)
    sure = whole[np.arange(len(path)), path] / total[:, 0]
    kinds = scores.shape[1] // 2
    begin = 0
    while begin < len(path):
        end = begin + 1
        if path[begin]:
            while end < len(path) and path[end] > kinds:
                end += 1
            score = round(float(sure[begin:end].min()), 3)
            yield Span(path[begin] - 1, begin, end, score)
        begin = end
