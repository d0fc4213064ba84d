"""Which rare word is a misspelling of a frequent one: a letter missing, doubled, swapped or wrong.

    "cartrigde", 2 items, beside "cartridge", 900 items  ->  "cartridge"

The error lies inside a token: people rarely mistype a first letter, and a last one may inflect the
word. Only words that share a form with one letter deleted are compared, so merging takes time
proportional to the words, not to pairs of them.
Source: deletion neighbourhoods (Mor and Fraenkel 1982; SymSpell).
"""

from collections import defaultdict
from collections.abc import Iterator
from math import isqrt

from kae.encoders.vocabulary.vocabulary import Form

# A word is written correctly at least so many times as often as in one wrong way.
MIN_FREQUENCY_RATIO = 20
# Shorter tokens have too many neighbours that are words, above all with a replaced letter.
MIN_CHARACTERS = 5
MIN_CHARACTERS_REPLACED = 7
# A form with more items than this, and than a tenth of the root of all items, is its own word.
MAX_RARE_ITEMS = 3
# The most frequent words, which have nearly all misspellings; each takes about a kilobyte.
MAX_HEADS = 200_000


class MisspellingIndex:
    """An index of the frequent words of a catalog by their forms with one letter deleted."""

    def __init__(self, items: int) -> None:
        self._rare = max(MAX_RARE_ITEMS, isqrt(items) // 10)
        self._near: defaultdict[str, list[tuple[int, Form]]] = defaultdict(list)
        self._heads = 0

    def learn(self, category: int, form: Form) -> None:
        """Add a correct word; call it for the most frequent words first."""
        if form.items >= MIN_FREQUENCY_RATIO and self._heads < MAX_HEADS:
            near = {form.word, *_deletions(form.word)}
            self._heads += len(near) > 1
            for each in near:
                self._near[each].append((category, form))

    def head_of(self, category: int | None, form: Form) -> tuple[int, str] | None:
        """Return the most frequent word that a form may misspell, in its category if it has one."""
        if form.items > self._rare:
            return None
        found: list[tuple[int, int, str]] = []
        for near in {form.word, *_deletions(form.word)}:
            for of, head in self._near.get(near, ()):
                if head.items < MIN_FREQUENCY_RATIO * form.items:
                    break
                if category in (None, of) and is_misspelling(head.word, form.word):
                    found.append((-head.items, of, head.word))
        return min(found)[1:] if found else None


def is_misspelling(right: str, wrong: str) -> bool:
    """Whether one edit inside a long token turns one word into the other."""
    tokens, others = right.split(" "), wrong.split(" ")
    if len(tokens) != len(others):
        return False
    differing = [pair for pair in zip(tokens, others, strict=True) if pair[0] != pair[1]]
    return len(differing) == 1 and _is_one_edit(*differing[0])


def _is_one_edit(right: str, wrong: str) -> bool:
    """Whether the tokens differ by one inner letter, missing, extra or replaced, or two swapped."""
    shorter = min(len(right), len(wrong))
    if shorter < MIN_CHARACTERS or not _has_letters_only(right) or not _has_letters_only(wrong):
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
        return shorter >= MIN_CHARACTERS_REPLACED
    if len(right) == len(wrong) == 2:
        return right == wrong[::-1]
    return len(right) + len(wrong) == 1


def _deletions(word: str) -> Iterator[str]:
    """Yield the word with one inner letter of a long token deleted."""
    start = 0
    for token in word.split(" "):
        end = start + len(token)
        if len(token) >= MIN_CHARACTERS and _has_letters_only(token):
            for place in range(start + 1, end - 1):
                yield word[:place] + word[place + 1 :]
        start = end + 1


def _has_letters_only(token: str) -> bool:
    """Whether it has no digits; marks are parts of letters in many scripts."""
    return not any(map(str.isnumeric, token))
