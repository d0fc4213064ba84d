"""Which rare word is a frequent one misspelled: a letter left out, doubled, swapped or mistyped.

    "cartrigde", 2 items, beside "cartridge", 900 items  ->  "cartridge"

The slip lies inside a token: people hardly mistype a first letter, and a last one inflects a word.
Two words are compared if they have a form in common that one letter was left out of, so a catalog
is merged in time that grows with its words, not with their pairs.
Source: deletion neighbourhoods (Mor and Fraenkel 1982; SymSpell).
"""

from collections import defaultdict
from collections.abc import Iterator
from math import isqrt

from kae.encoders.vocabulary.vocabulary import Form

# How much more often a word is written right than in one wrong way.
TIMES = 20
# Shorter tokens have too many neighbours that are words; of those with another letter, more are.
SHORTEST = 5
SHORTEST_WITH_ANOTHER = 7
# A form with more items than this, or than a tenth of their square root, is a word of its own.
RARE = 3
# The most frequent words, which have nearly all misspellings; each costs about a kilobyte.
HEADS = 200_000


class Misspellings:
    """The frequent words of a catalog of so many items, and what is one edit away from them."""

    def __init__(self, items: int) -> None:
        self._rare = max(RARE, isqrt(items) // 10)
        self._near: defaultdict[str, list[tuple[int, Form]]] = defaultdict(list)
        self._heads = 0

    def learn(self, category: int, form: Form) -> None:
        """Take a word for one that is written right; the most frequent have to come first."""
        if form.items >= TIMES and self._heads < HEADS:
            near = {form.word, *_one_letter_less(form.word)}
            self._heads += len(near) > 1
            for each in near:
                self._near[each].append((category, form))

    def head_of(self, category: int | None, form: Form) -> tuple[int, str] | None:
        """The most frequent word that this may be meant as; of its category, if it has one."""
        if form.items > self._rare:
            return None
        found: list[tuple[int, int, str]] = []
        for near in {form.word, *_one_letter_less(form.word)}:
            for of, head in self._near.get(near, ()):
                if head.items < TIMES * form.items:
                    break
                if category in (None, of) and is_slip(head.word, form.word):
                    found.append((-head.items, of, head.word))
        return min(found)[1:] if found else None


def is_slip(right: str, wrong: str) -> bool:
    """Whether one edit inside a long token makes one of the other."""
    tokens, others = right.split(" "), wrong.split(" ")
    if len(tokens) != len(others):
        return False
    differing = [pair for pair in zip(tokens, others, strict=True) if pair[0] != pair[1]]
    return len(differing) == 1 and _is_one_edit(*differing[0])


def _is_one_edit(right: str, wrong: str) -> bool:
    """Whether one letter less, more, or another, or two swapped, is all that differs inside."""
    shorter = min(len(right), len(wrong))
    if shorter < SHORTEST or not _has_letters_only(right) or not _has_letters_only(wrong):
        return False
    if right[0] != wrong[0] or right[-1] != wrong[-1]:
        return False
    start = 0
    while start < shorter and right[start] == wrong[start]:
        start += 1
    right, wrong = right[start:], wrong[start:]
    while right and wrong and right[-1] == wrong[-1]:
        right, wrong = right[:-1], wrong[:-1]
    if len(right) == len(wrong) == 1:
        return shorter >= SHORTEST_WITH_ANOTHER
    if len(right) == len(wrong) == 2:
        return right == wrong[::-1]
    return len(right) + len(wrong) == 1


def _one_letter_less(word: str) -> Iterator[str]:
    """The word without a letter from inside a long token."""
    start = 0
    for token in word.split(" "):
        end = start + len(token)
        if len(token) >= SHORTEST and _has_letters_only(token):
            for place in range(start + 1, end - 1):
                yield word[:place] + word[place + 1 :]
        start = end + 1


def _has_letters_only(token: str) -> bool:
    """No digits; marks are parts of letters in many scripts."""
    return not any(map(str.isnumeric, token))
