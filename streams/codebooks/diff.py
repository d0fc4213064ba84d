"""What differs between two codebooks: which words moved, and which items would move with them.

Slots are numbered anew with every codebook, so a number says nothing across two. A slot is the same
when the same word heads it in the same position; a word or item moves when it goes to another one.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from kae.encoders.categories import CATEGORIES
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.groups.occurrences import batches
from kae.encoders.items import Item
from kae.encoders.text.spelling import one_spelling

Meaning = tuple[str | None, ...]  # of an identifier: the word that heads each slot


class SlotPlace(msgspec.Struct, frozen=True):
    """Where a word is: its position, and the word that heads its slot; null without a slot."""

    position: int
    group: str
    head: str | None


class WordMoved(msgspec.Struct, frozen=True):
    """A word of both codebooks, or of one of them, whose place differs; null where it is none."""

    category: str
    word: str
    items: int  # of the catalog that has more of them
    was: SlotPlace | None
    becomes: SlotPlace | None


class ItemMoved(msgspec.Struct, frozen=True):
    """An item whose identifier says something else in the second codebook."""

    id: str
    was: Meaning
    becomes: Meaning


class ItemsDiffer(msgspec.Struct, frozen=True):
    """What becomes of a catalog's items."""

    items: int
    moved: int  # another word heads one of its slots
    renumbered: int  # the identifier's numbers differ, moved ones included
    first_moved: tuple[ItemMoved, ...]


class CodebooksDiffer(msgspec.Struct, frozen=True):
    """What `kae codebook diff --json` prints."""

    was: str
    becomes: str
    same: bool  # one fingerprint: every item has the same attributes and the same identifier
    added: int
    removed: int
    moved: int
    words: tuple[WordMoved, ...]  # the first of these, most items first
    items: ItemsDiffer | None  # null without a catalog


def diff_words(was: Codebook, becomes: Codebook) -> list[WordMoved]:
    """Every word whose place differs, the one that most items have first."""
    before, after = _places(was), _places(becomes)
    moved = []
    for category, word in before.keys() | after.keys():
        (old_items, old), (new_items, new) = (
            places.get((category, word), (0, None)) for places in (before, after)
        )
        if not _same(old, new):
            items = max(old_items, new_items)
            moved.append(WordMoved(CATEGORIES[category], word, items, old, new))
    return sorted(moved, key=lambda word: (-word.items, word.category, word.word))


def diff_items(was: Codebook, becomes: Codebook, items: Iterable[Item], most: int) -> ItemsDiffer:
    """Encode items with both codebooks; tell the first so many that move."""
    encoders = Encoder(was), Encoder(becomes)
    read = moved = renumbered = 0
    first: list[ItemMoved] = []
    for batch in batches(items):
        read += len(batch)
        pairs = zip(batch, *(encoder.encode_all(batch) for encoder in encoders), strict=True)
        for item, old, new in pairs:
            renumbered += old.identifier != new.identifier
            meant = _meaning(was, old.identifier), _meaning(becomes, new.identifier)
            if _spelled(meant[0]) != _spelled(meant[1]):
                moved += 1
                if len(first) < most:
                    first.append(ItemMoved(item.id, *meant))
    return ItemsDiffer(read, moved, renumbered, tuple(first))


def describe_difference(
    folders: tuple[str, str],
    codebooks: tuple[Codebook, Codebook],
    most: int,
    items: ItemsDiffer | None,
) -> CodebooksDiffer:
    """The difference with at most so many words spelled out."""
    words = diff_words(*codebooks)
    return CodebooksDiffer(
        *folders,
        same=codebooks[0].fingerprint == codebooks[1].fingerprint,
        added=sum(word.was is None for word in words),
        removed=sum(word.becomes is None for word in words),
        moved=sum(word.was is not None and word.becomes is not None for word in words),
        words=tuple(islice(words, most)),
        items=items,
    )


def _places(codebook: Codebook) -> dict[tuple[int, str], tuple[int, SlotPlace]]:
    return {
        (word.category, word.word): (word.items, place)
        for word, place in zip(codebook.words, _each_place(codebook), strict=True)
    }


def _each_place(codebook: Codebook) -> Iterator[SlotPlace]:
    for word in codebook.words:
        position = codebook.position_of(word.category)
        head = codebook.word_at(position, word.index)
        yield SlotPlace(position, codebook.groups[position].name, head[1] if head else None)


def _same(was: SlotPlace | None, becomes: SlotPlace | None) -> bool:
    if was is None or becomes is None:
        return was is becomes
    return was.position == becomes.position and _spelled((was.head,)) == _spelled((becomes.head,))


def _meaning(codebook: Codebook, identifier: tuple[int, ...]) -> Meaning:
    heads = (codebook.word_at(position, index) for position, index in enumerate(identifier))
    return tuple(head[1] if head else None for head in heads)


def _spelled(words: Meaning) -> Meaning:
    return tuple(word and one_spelling(word) for word in words)
