"""Build a codebook from a catalog, in two passes over its items.

    learn     count what fields and titles say; decide the dictionary
    measure   extract every item with that dictionary; count the items of each word
    assign    give slots to the words with the most items, position by position

The same items, in the same order, give the same bytes.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from kae.encoders.attributes import Item
from kae.encoders.categories import Group, check_groups
from kae.encoders.codebook import Codebook, Word
from kae.encoders.dictionary import Evidence
from kae.encoders.extract import Extractor
from kae.encoders.spelling import one_spelling
from kae.encoders.titles import fewest_items

# The words of the largest dictionary that the method is published with.
WORDS = 1_080_000
_COUNTED_WORDS = 4_000_000
_PROGRESS_ITEMS = 1000


def build_codebook(
    items: Callable[[], Iterable[Item]],
    groups: Sequence[Group],
    fields: Mapping[str, str],
    out: Path,
    progress: Callable[[int], None] | None = None,
) -> Codebook:
    """Build a codebook and write its folder.

    `items` is called twice and must give the same items in the same order. `progress` is told how
    many items a pass has read, now and then; both passes count on, so the end is twice the catalog.
    Raises: GroupsInvalid.
    """
    check_groups(groups)
    told = _Told(progress)
    dictionary = _learn(told.each(items()), groups, fields)
    measured, catalog_items = _measure(told.each(items()), groups, fields, dictionary)
    fewest = fewest_items(catalog_items)
    counts = {key: items for key, items in measured.items() if items >= fewest}
    words = _assign(counts, groups, dictionary)
    codebook = Codebook(groups, dict(fields), words, catalog_items)
    codebook.save(out)
    return codebook


class _Told:
    def __init__(self, progress: Callable[[int], None] | None) -> None:
        self._progress = progress
        self._read = 0

    def each(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            yield item
            self._read += 1
            if self._progress and self._read % _PROGRESS_ITEMS == 0:
                self._progress(self._read)
        if self._progress:
            self._progress(self._read)


def _learn(
    items: Iterable[Item], groups: Sequence[Group], fields: Mapping[str, str]
) -> dict[str, int]:
    evidence = Evidence(fields)
    extractor = Extractor(Codebook(groups, dict(fields), ()))
    for item in items:
        evidence.add(item, extractor.of_fields(item))
    return dict(evidence.dictionary())


def _measure(
    items: Iterable[Item],
    groups: Sequence[Group],
    fields: Mapping[str, str],
    dictionary: Mapping[str, int],
) -> tuple[Counter[tuple[int, str]], int]:
    """How many items have each (category, word), and how many items there are."""
    scanned = [Word(category, word, 0, 0, True) for word, category in dictionary.items()]
    extractor = Extractor(Codebook(groups, dict(fields), scanned))
    counts: Counter[tuple[int, str]] = Counter()
    read = 0
    for item in items:
        counts.update((found.category, found.word) for found in extractor.extract(item))
        read += 1
        floor = 1
        while len(counts) > _COUNTED_WORDS:
            counts = Counter({key: n for key, n in counts.items() if n > floor})
            floor *= 2
    return counts, read


def _assign(
    counts: Mapping[tuple[int, str], int], groups: Sequence[Group], dictionary: Mapping[str, int]
) -> list[Word]:
    """The words of the codebook in slot order: of each position, head before its aliases."""
    kept = sorted(counts, key=lambda key: (-counts[key], key))[:WORDS]
    placed = Codebook(groups, {}, ())
    slots: list[defaultdict[str, list[Word]]] = [defaultdict(list) for _ in groups]
    for category, word in kept:
        scanned = dictionary.get(word) == category
        position = placed.position_of(category)
        slots[position][one_spelling(word)].append(
            Word(category, word, 0, counts[category, word], scanned)
        )
    words: list[Word] = []
    for group, spellings in zip(groups, slots, strict=True):
        words += _numbered(list(spellings.values()), group.capacity - group.reserved)
    return words


def _numbered(spellings: list[list[Word]], end: int) -> Iterator[Word]:
    """Give slots 1..end-1 to the spellings that most items have; 0 to the words of the rest."""
    spellings.sort(key=lambda words: (-sum(word.items for word in words), words[0].word))
    for index, words in enumerate(spellings, start=1):
        for word in words:
            yield Word(
                word.category, word.word, index if index < end else 0, word.items, word.scanned
            )
