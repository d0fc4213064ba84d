"""The difference between two codebooks: which words moved, and which items move with them.

Every codebook numbers its slots anew, so slot numbers cannot be compared. Two slots are the same
when the same word heads them in the same position; a word or an item moves when it gets another
slot in that sense.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from kae.encoders.catalog_reader import batch_items
from kae.encoders.categories import CATEGORIES
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Item
from kae.encoders.text.spelling import spelling_key

HeadWords = tuple[str | None, ...]  # the head word of each slot of an identifier


class SlotPlace(msgspec.Struct, frozen=True):
    """The place of a word: its position, and the head word of its slot, null without a slot."""

    position: int
    group: str
    head: str | None


class WordMoved(msgspec.Struct, frozen=True):
    """A word whose place differs; null in the codebook that does not have it."""

    category: str
    word: str
    items: int  # in the catalog with more of them
    was: SlotPlace | None
    becomes: SlotPlace | None


class ItemMoved(msgspec.Struct, frozen=True):
    """An item whose identifier has other head words in the second codebook."""

    id: str
    was: HeadWords
    becomes: HeadWords


class ItemsDiffer(msgspec.Struct, frozen=True):
    """How a catalog's items differ."""

    items: int
    moved: int  # items with another head word in some position
    renumbered: int  # items with other slot numbers, including moved ones
    first_moved: tuple[ItemMoved, ...]


class CodebooksDiffer(msgspec.Struct, frozen=True):
    """What `kae codebook diff --json` prints."""

    was: str
    becomes: str
    same: bool  # one fingerprint: every item has the same attributes and the same identifier
    added: int
    removed: int
    moved: int
    words: tuple[WordMoved, ...]  # the first of them, most items first
    items: ItemsDiffer | None  # null without a catalog


def diff_words(was: Codebook, becomes: Codebook) -> list[WordMoved]:
    """Return every word whose slot differs, most items first."""
    before, after = _slot_places(was), _slot_places(becomes)
    moved = []
    for category, word in before.keys() | after.keys():
        (old_items, old), (new_items, new) = (
            places.get((category, word), (0, None)) for places in (before, after)
        )
        if not _same(old, new):
            items = max(old_items, new_items)
            moved.append(WordMoved(CATEGORIES[category], word, items, old, new))
    return sorted(moved, key=lambda word: (-word.items, word.category, word.word))


def diff_items(was: Codebook, becomes: Codebook, items: Iterable[Item], limit: int) -> ItemsDiffer:
    """Encode items with both codebooks, and list the first `limit` that move."""
    encoders = Encoder(was), Encoder(becomes)
    read = moved = renumbered = 0
    first: list[ItemMoved] = []
    for batch in batch_items(items):
        read += len(batch)
        pairs = zip(batch, *(encoder.encode_all(batch) for encoder in encoders), strict=True)
        for item, old, new in pairs:
            renumbered += old.identifier != new.identifier
            heads = _head_words(was, old.identifier), _head_words(becomes, new.identifier)
            if _spelling_keys(heads[0]) != _spelling_keys(heads[1]):
                moved += 1
                if len(first) < limit:
                    first.append(ItemMoved(item.id, *heads))
    return ItemsDiffer(read, moved, renumbered, tuple(first))


def describe_difference(
    folders: tuple[str, str],
    codebooks: tuple[Codebook, Codebook],
    limit: int,
    items: ItemsDiffer | None,
) -> CodebooksDiffer:
    """Describe the difference, with at most `limit` words."""
    words = diff_words(*codebooks)
    return CodebooksDiffer(
        *folders,
        same=codebooks[0].fingerprint == codebooks[1].fingerprint,
        added=sum(word.was is None for word in words),
        removed=sum(word.becomes is None for word in words),
        moved=sum(word.was is not None and word.becomes is not None for word in words),
        words=tuple(islice(words, limit)),
        items=items,
    )


def _slot_places(codebook: Codebook) -> dict[tuple[int, str], tuple[int, SlotPlace]]:
    return {
        (word.category, word.word): (word.items, place)
        for word, place in zip(codebook.words, _place_of_each_word(codebook), strict=True)
    }


def _place_of_each_word(codebook: Codebook) -> Iterator[SlotPlace]:
    for word in codebook.words:
        position = codebook.position_of(word.category)
        head = codebook.word_at(position, word.index)
        yield SlotPlace(position, codebook.groups[position].name, head[1] if head else None)


def _same(was: SlotPlace | None, becomes: SlotPlace | None) -> bool:
    if was is None or becomes is None:
        return was is becomes
    return was.position == becomes.position and _spelling_keys((was.head,)) == _spelling_keys(
        (becomes.head,)
    )


def _head_words(codebook: Codebook, identifier: tuple[int, ...]) -> HeadWords:
    heads = (codebook.word_at(position, index) for position, index in enumerate(identifier))
    return tuple(head[1] if head else None for head in heads)


def _spelling_keys(words: HeadWords) -> HeadWords:
    return tuple(word and spelling_key(word) for word in words)
