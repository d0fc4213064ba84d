"""Words that are bound after the training: does a query for one find the items it is bound to?

Two protocols:

    (a) nonce words   made up, bound to items drawn together by a word that they share; asked alone,
                      and in front of a held-back query that has nothing to do with them
    (b) real words    taken from dictionary and training, bound to the items whose titles say them,
                      and judged by the held-back queries that say them

IHR@K is the share of words whose query finds one of their items among the first K. IAR@K is the
share for which the bound slot brought one of them: the item is there by a path through the slot.
For BM25 a word is added to the items' texts, and what has the word was brought by it.

Two rows for closed codebooks, since they have no slot to bind a word to. As in the paper: nothing
is changed, and what is found is found by chance. The fair edit: the items are put a second time,
under the identifiers that the model emits for the word alone, and listed there first.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from pyroaring import BitMap

from kae.encoders.categories import Identifier
from kae.streams.errors import CatalogInvalid, KaeError

# A nonce word is bound to so many items.
FEWEST_ITEMS, MOST_ITEMS = 2, 10
# The fair edit takes so many identifiers of those that a word's query leads to: at least the first,
# so that longer queries may lead there too, and enough to list all items, up to the second.
FEWEST_IDENTIFIERS, MOST_IDENTIFIERS = 10, 100
_SYLLABLES = [first + vowel for first in "bdfgklmnprstvz" for vowel in "aeiou"]


class SlotsMissing(KaeError):
    """More words are to be bound than positions have reserved slots."""


@dataclass(frozen=True, slots=True)
class BoundWord:
    """A word, how it is written, the position it is bound at, and the rows of its items."""

    word: str
    forms: tuple[str, ...]
    position: int
    rows: BitMap


@dataclass(frozen=True, slots=True)
class Answered:
    """Of one query: whether it found one of its word's items, and whether the slot brought it."""

    found: bool
    by_slot: bool


def nonce_words(
    items_of_word: Sequence[Sequence[int]], count: int, positions: Sequence[int], seed: int
) -> list[BoundWord]:
    """Made up words, the positions in turn; `items_of_word` are rows of items that share a word.

    Raises: CatalogInvalid when no word is shared by FEWEST_ITEMS to MOST_ITEMS items.
    """
    chance = random.Random(seed)
    few = [rows for rows in items_of_word if FEWEST_ITEMS <= len(rows) <= MOST_ITEMS]
    if not few:
        raise CatalogInvalid(
            f"no word is shared by {FEWEST_ITEMS} to {MOST_ITEMS} items; give a larger catalog"
        )
    made: dict[str, None] = {}
    while len(made) < count:
        made["".join(chance.choices(_SYLLABLES, k=4)) + "x"] = None
    return [
        BoundWord(word, (word,), positions[number % len(positions)], BitMap(chance.choice(few)))
        for number, word in enumerate(made)
    ]


def in_rounds(words: Sequence[BoundWord], reserved: Sequence[int]) -> list[list[BoundWord]]:
    """As many words at once as positions have reserved slots; those of a position in order.

    Raises: SlotsMissing.
    """
    without = {word.position for word in words if not reserved[word.position]}
    if without:
        raise SlotsMissing(
            f"positions {sorted(without)} have no reserved slots, so no word can be bound there; "
            "give each group some `reserved` in topology.yaml, or another --codebook"
        )
    rounds: list[list[BoundWord]] = []
    taken: defaultdict[int, int] = defaultdict(int)
    for word in words:
        number = taken[word.position] // reserved[word.position]
        taken[word.position] += 1
        while len(rounds) <= number:
            rounds.append([])
        rounds[number].append(word)
    return rounds


def dealt(
    rows: Sequence[int], identifiers: Sequence[Sequence[int]], each: int
) -> Iterator[tuple[int, Identifier]]:
    """Items dealt to the first identifiers, so many to each, as cards are: the fair edit."""
    wanted = min(max(-(-len(rows) // each), FEWEST_IDENTIFIERS), MOST_IDENTIFIERS)
    dealing = cycle(rows)
    for a, b, c, d, e, f in identifiers[:wanted]:
        for row in islice(dealing, min(each, len(rows))):
            yield row, (a, b, c, d, e, f)
