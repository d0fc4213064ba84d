"""Build a codebook from a catalog, in two passes over its items.

    learn     count the words of fields and titles, and choose the vocabulary (vocabulary/fit.py)
    measure   extract every item with that dictionary, and count the items of each word
    assign    give the slots of each position to the words with the most items

The same items in the same order give the same bytes.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from kae.encoders.bounded import BoundedCounts
from kae.encoders.catalog_reader import CatalogReader, batch_items
from kae.encoders.categories import Group, check_groups
from kae.encoders.codebook.codebook import Codebook, CodebookWord
from kae.encoders.extraction.extract import Extractor
from kae.encoders.extraction.mentions import UNRANKED
from kae.encoders.extraction.title_reader import open_title_reader
from kae.encoders.items import Item
from kae.encoders.tagger.weights import TaggerSource
from kae.encoders.text.search_form import NEWEST_FORM, SearchForm
from kae.encoders.vocabulary.fit import learn_vocabulary
from kae.encoders.vocabulary.title_phrases import min_support
from kae.encoders.vocabulary.vocabulary import Vocabulary

# The size of the largest dictionary that the method is published with.
WORDS = 1_080_000
_COUNTED_WORDS = 4_000_000


def build_codebook(
    items: Callable[[], Iterable[Item]],
    groups: Sequence[Group],
    fields: Mapping[str, str],
    out: Path,
    progress: Callable[[int], None] | None = None,
    tagger: TaggerSource | None = None,
    form: SearchForm = NEWEST_FORM,
) -> Codebook:
    """Build a codebook and write its folder; with a tagger, the tagger's words get slots too.

    `items` is called twice and must give the same items in the same order. `progress` is called
    with the number of items that both passes together have read, at the end twice the catalog.
    Raises: GroupsInvalid.
    """
    check_groups(groups)
    catalog = CatalogReader(items, progress)
    vocabulary = learn_vocabulary(catalog, groups, fields, form=form)
    scanned = [
        CodebookWord(category, word, 0, 0, True) for word, category in vocabulary.dictionary.items()
    ]
    measured, catalog_items = _measure(
        catalog, Codebook(groups, dict(fields), scanned, tagger=tagger, form=form)
    )
    fewest = min_support(catalog_items)
    words: list[CodebookWord] = []
    for group, observed in zip(groups, group_spellings(measured, groups, vocabulary), strict=True):
        spellings = [alike for alike in observed if sum(word.items for word in alike) >= fewest]
        slots = group.capacity - group.reserved - 1
        words += number_slots(spellings[:slots])
        words += (word for spelling in spellings[slots:] for word in spelling)
    codebook = Codebook(groups, dict(fields), words, catalog_items, tagger=tagger, form=form)
    codebook.save(out)
    return codebook


def _measure(
    items: Iterable[Item], codebook: Codebook
) -> tuple[Mapping[tuple[int, str], int], int]:
    """Return how many items have each (category, word), and how many items there are."""
    extractor = Extractor(codebook, reader=open_title_reader(codebook, lambda _: UNRANKED))
    counts: BoundedCounts[tuple[int, str]] = BoundedCounts(_COUNTED_WORDS)
    read = 0
    for batch in batch_items(items):
        for found in extractor.find(batch)[1]:
            counts.update((one.attribute.category, one.attribute.word) for one in found)
        counts.drop_rarest()
        read += len(batch)
    return counts, read


def group_spellings(
    counts: Mapping[tuple[int, str], int],
    groups: Sequence[Group],
    vocabulary: Vocabulary,
    attention: Mapping[tuple[int, str], float] = MappingProxyType({}),
) -> list[list[list[CodebookWord]]]:
    """Return for each position its spellings, each with its words, head first.

    The spelling with the most attention comes first; of equal ones, the one that most items have.
    No word has a slot yet.
    """

    def first(words: Sequence[CodebookWord]) -> tuple[float, int, str]:
        attended = sum(attention.get((word.category, word.word), 0.0) for word in words)
        return -attended, -sum(word.items for word in words), words[0].word

    kept = sorted(counts, key=lambda key: (-counts[key], key))[:WORDS]
    unassigned = Codebook(groups, {}, ())
    spellings: list[defaultdict[str, list[CodebookWord]]] = [defaultdict(list) for _ in groups]
    for category, word in kept:
        scanned = vocabulary.dictionary.get(word) == category
        position = unassigned.position_of(category)
        spellings[position][vocabulary.spelling(category, word)].append(
            CodebookWord(category, word, 0, counts[category, word], scanned)
        )
    return [sorted(of_position.values(), key=first) for of_position in spellings]


def number_slots(spellings: Iterable[list[CodebookWord]], first: int = 1) -> Iterator[CodebookWord]:
    """Give each spelling a slot of its own, counting from `first`."""
    for index, words in enumerate(spellings, start=first):
        for word in words:
            yield replace(word, index=index)
