"""Reports of a fitted vocabulary and of the candidates beyond it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kae.encoders.catalog_reader import CatalogReader
from kae.encoders.categories import CATEGORIES
from kae.encoders.tagger.tagger import Tagger
from kae.encoders.vocabulary.candidates import (
    AcceptedCandidates,
    Candidate,
    count_accepted,
    find_candidates,
    sample_items,
)
from kae.encoders.vocabulary.vocabulary import Vocabulary, VocabularyEntry, WordOrigin
from kae.streams.codebooks.quality import OnProgress
from kae.streams.errors import VocabularyDiffers
from kae.streams.runtime.interpreter import peak_memory_bytes
from kae.streams.topology.types import Topology

_HEAD_WORDS = 5


class CategoryFitted(msgspec.Struct, frozen=True):
    """The words of a vocabulary in one category."""

    category: str
    words: int
    aliases: int  # their other forms, including misspellings
    misspelled: int
    by_source: dict[str, int]  # words found in fields, titles, bundled lists, by the tagger
    head_words: tuple[str, ...]  # the most frequent


class VocabularyFitted(msgspec.Struct, frozen=True):
    """What `kae vocabulary fit --json` prints."""

    folder: str
    fingerprint: str
    items: int
    rejected: int
    seconds: float
    peak_memory_bytes: int  # of the whole process
    uncounted: int  # items by which a form's count may be too low
    words: int
    categories: tuple[CategoryFitted, ...]
    candidates: AcceptedCandidates | None  # null without any


class CandidateShown(msgspec.Struct, frozen=True):
    """A word that the tagger finds and the vocabulary does not have."""

    category: str
    word: str
    titles: int  # searched titles that have it
    score: float  # mean confidence of the tagger
    example: str


class CandidatesFound(msgspec.Struct, frozen=True):
    """What `kae vocabulary candidates --json` prints."""

    vocabulary: str  # its fingerprint
    tagger: str  # its fingerprint, or none
    titles: int  # that were searched
    seconds: float
    found: int
    categories: dict[str, int]  # candidates of each
    candidates: tuple[CandidateShown, ...]  # the first, up to the limit
    file: str | None


@dataclass(frozen=True, slots=True)
class CandidateSearch:
    """The candidates that a search found."""

    found: tuple[Candidate, ...]
    tagger: str  # its fingerprint, or none
    titles: int  # that were searched


def open_vocabulary(folder: Path, topology: Topology) -> Vocabulary:
    """Load a vocabulary for a codebook.

    Raises: VocabularyInvalid when the folder is not a vocabulary; VocabularyDiffers when it was
    fitted with another field mapping than the topology has.
    """
    vocabulary = Vocabulary.load(folder)
    differing = sorted(vocabulary.fields.items() ^ topology.catalog.fields.items())
    if differing:
        raise VocabularyDiffers(
            f"{folder}: fitted with another field mapping than {topology.path} has, first "
            f"{differing[0]}. Fit one: kae vocabulary fit CATALOG... --out DIR "
            f"--topology {topology.path}"
        )
    if vocabulary.form != topology.search_form:
        raise VocabularyDiffers(
            f"{folder}: fitted with folding.keep {vocabulary.form.kept!r} and decimal mark "
            f"{vocabulary.form.decimal_mark!r}, {topology.path} has {topology.search_form.kept!r} "
            f"and {topology.search_form.decimal_mark!r}. Fit one: kae vocabulary fit CATALOG... "
            f"--out DIR --topology {topology.path}"
        )
    return vocabulary


def search_candidates(
    catalog: CatalogReader,
    vocabulary: Vocabulary,
    topology: Topology,
    tagger: Path | None,
    sample: int,
    on_progress: OnProgress,
) -> CandidateSearch:
    """Search a sample of a catalog's titles, in one pass; without a tagger, nothing is found.

    Raises: TaggerInvalid.
    """
    if tagger is None:
        return CandidateSearch((), "none", 0)
    reader = Tagger(tagger, topology.catalog.decimal_mark)
    items = sample_items(catalog, sample)
    found = find_candidates(
        reader,
        items,
        vocabulary,
        topology.codebook_groups,
        lambda read: on_progress("tagging titles", read, len(items)),
    )
    return CandidateSearch(tuple(found), reader.fingerprint, len(items))


def describe_vocabulary(
    vocabulary: Vocabulary,
    folder: Path,
    rejected: int,
    seconds: float,
    candidates: Mapping[str, int] | None,
) -> VocabularyFitted:
    """Describe a fitted vocabulary that was written to a folder."""
    return VocabularyFitted(
        folder=str(folder),
        fingerprint=vocabulary.fingerprint,
        items=vocabulary.catalog_items,
        rejected=rejected,
        seconds=round(seconds, 3),
        peak_memory_bytes=peak_memory_bytes(),
        uncounted=vocabulary.uncounted,
        words=len(vocabulary.entries),
        categories=tuple(_categories(vocabulary.entries)),
        candidates=None if candidates is None else count_accepted(vocabulary, candidates),
    )


def describe_candidates(
    search: CandidateSearch, vocabulary: Vocabulary, limit: int, file: Path | None, seconds: float
) -> CandidatesFound:
    """Describe a search, with its first `limit` candidates."""
    counts = Counter(one.category for one in search.found)
    return CandidatesFound(
        vocabulary=vocabulary.fingerprint,
        tagger=search.tagger,
        titles=search.titles,
        seconds=round(seconds, 3),
        found=len(search.found),
        categories={CATEGORIES[category]: counts[category] for category in sorted(counts)},
        candidates=tuple(
            CandidateShown(CATEGORIES[one.category], one.word, one.titles, one.score, one.example)
            for one in search.found[:limit]
        ),
        file=None if file is None else str(file),
    )


def _categories(entries: Sequence[VocabularyEntry]) -> Iterator[CategoryFitted]:
    for category, name in enumerate(CATEGORIES):
        of_category = [entry for entry in entries if entry.category == category]
        origins = [_origin(entry) for entry in of_category]
        yield CategoryFitted(
            category=name,
            words=len(of_category),
            aliases=sum(len(entry.forms) - 1 for entry in of_category),
            misspelled=sum(sum(1 for _ in entry.misspelled) for entry in of_category),
            by_source={
                str(origin.name).lower(): sum(origin in one for one in origins)
                for origin in WordOrigin
            },
            head_words=tuple(entry.head.word for entry in of_category[:_HEAD_WORDS]),
        )


def _origin(entry: VocabularyEntry) -> WordOrigin:
    origin = WordOrigin(0)
    for form in entry.forms:
        origin |= form.origin
    return origin
