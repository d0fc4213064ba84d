"""From the scores of labels to the values in a text, and their exact borders.

A label says that a word begins a value of a *kind* (B), continues it (I), or is outside (O). Kinds
are finer than the 18 categories: "flavor" and "scent" are two kinds of modifier. An item has at
most one value of each kind, the last one in its title, as in the training titles.

Punctuation then corrects the borders: brackets come in pairs, and separators end a value.

"500 pages" of "3,500 pages"  ->  "3,500 pages"
"8 count)"  ->  "8 count"        "2 ea (Pack of 3" before ")"  ->  "2 ea (Pack of 3)"
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kae.encoders.tagger.exact import Float32Array, softmax_weights
from kae.encoders.text.numbers import NumberSpan

_SEPARATORS = frozenset("-\u2013\u2014,;:|/~\u2022\u00b7")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_OPENING = {closing: opening for opening, closing in _CLOSING.items()}


def trim_borders(text: str, begin: int, end: int) -> tuple[int, int]:
    """Return the borders of a value in `text`, corrected by punctuation; it may become empty."""
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
            # Only the closing bracket was cut off: it follows directly.
            end += text.startswith(closing, end)
    return begin, end


def widen_to_numbers(numbers: Sequence[NumberSpan], begin: int, end: int) -> tuple[int, int]:
    """Return the borders of a value moved out of the numbers with units that they cut.

    The network reads 3,500 as three words, and may find but the last: "500 pages". The unit can
    decide how a number is read: 1.500 pages are 1500.
    """
    if begin < end:
        for number in numbers:
            if number.begin < begin < number.end:
                begin = number.begin
            if number.begin < end < number.unit_end:
                end = number.unit_end
    return begin, end


# Of a value whose least sure word is less sure than this, nothing is said: it is wrong more often
# than right, and each wrong value costs F1 what a missing one does.
MIN_SCORE = 0.35


@dataclass(frozen=True, slots=True)
class Span:
    """A value of one kind: words begin to end (exclusive), and the least score of its words."""

    kind: int
    begin: int
    end: int
    score: float


def best_path(scores: Float32Array) -> list[int]:
    """Return the best label sequence in which every I follows a B or I of its kind (Viterbi).

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


def spans_of(scores: Float32Array) -> list[Span]:
    """Return the spans of a text in order, at most one of each kind."""
    if not len(scores):
        return []
    sure = [span for span in _spans(best_path(scores), scores) if span.score >= MIN_SCORE]
    last = {span.kind: span for span in sure}
    return sorted(last.values(), key=lambda span: span.begin)


def _spans(path: Sequence[int], scores: Float32Array) -> Iterator[Span]:
    whole, total = softmax_weights(scores)
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
