"""What is in a codebook, position by position."""

from collections import Counter
from collections.abc import Iterator

import msgspec

from kae.encoders.categories import CATEGORIES
from kae.encoders.codebook.codebook import Codebook


class HeadWord(msgspec.Struct, frozen=True):
    """The head word of a slot, and how many items and words the slot has."""

    index: int
    category: str
    word: str
    items: int
    words: int


class PositionShown(msgspec.Struct, frozen=True):
    """What the slots of a position hold; index 0 is one of them, the empty slot."""

    position: int
    group: str
    categories: tuple[str, ...]
    capacity: int
    solo: int  # slots of one word with its aliases
    clusters: int  # slots of several similar words
    free: int  # slots without a word that are not reserved
    reserved: int  # slots for bindings
    words: int
    words_without_slot: int
    head_words: tuple[HeadWord, ...]


class CodebookShown(msgspec.Struct, frozen=True):
    """What `kae codebook show --json` prints."""

    folder: str
    fingerprint: str
    format: int
    tagger: str  # fingerprint of the tagger that reads titles, or none
    catalog_items: int
    positions: tuple[PositionShown, ...]


def describe_codebook(codebook: Codebook, folder: str, head_words: int) -> CodebookShown:
    """Describe a codebook, with so many head words for each position."""
    return CodebookShown(
        folder=folder,
        fingerprint=codebook.fingerprint,
        format=codebook.format,
        tagger=codebook.tagger_fingerprint,
        catalog_items=codebook.catalog_items,
        positions=tuple(_positions(codebook, head_words)),
    )


def _positions(codebook: Codebook, head_words: int) -> Iterator[PositionShown]:
    for position, group in enumerate(codebook.groups):
        words = [word for word in codebook.words if codebook.position_of(word.category) == position]
        sizes = Counter(word.index for word in words)
        items = Counter[int]()
        for word in words:
            items[word.index] += word.items
        without = sizes.pop(0, 0)
        solo = sum(not codebook.is_cluster(position, index) for index in sizes)
        yield PositionShown(
            position=position,
            group=group.name,
            categories=group.categories,
            capacity=group.capacity,
            solo=solo,
            clusters=len(sizes) - solo,
            free=group.capacity - group.reserved - 1 - len(sizes),
            reserved=group.reserved,
            words=len(words),
            words_without_slot=without,
            head_words=tuple(
                HeadWord(index, CATEGORIES[head[0]], head[1], items[index], sizes[index])
                for index in sorted(sizes)[:head_words]
                if (head := codebook.word_at(position, index))
            ),
        )
