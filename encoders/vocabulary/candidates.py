"""Candidate words: those that the tagger finds in titles and the vocabulary does not have.

People review the table of candidates, strike out what is not a word of their catalog or add what
is, and give the table to the next fit, which counts the titles that have each word (evidence.py).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from heapq import heappush, heappushpop
from math import fsum
from pathlib import Path

from kae.encoders.categories import CATEGORIES, CATEGORY_INDEX, Group
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.extract import Extractor
from kae.encoders.items import Item
from kae.encoders.tagger.tagger import Tagged, Tagger
from kae.encoders.text.measures import canonical, is_measure, is_model
from kae.encoders.text.search_form import NEWEST_FORM, SearchForm
from kae.encoders.text.spelling import spelling_key
from kae.encoders.text.values import is_word
from kae.encoders.vocabulary.vocabulary import Vocabulary, WordOrigin, is_scannable

_COLUMNS = ("category", "word", "titles", "score", "example")
_BATCH_TITLES = 64


class CandidatesInvalid(ValueError):
    """A file that is not a table of candidates."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A word that may belong in the vocabulary."""

    category: int
    word: str
    titles: int  # tagged titles that have it
    score: float  # mean confidence of the tagger
    example: str  # a title that has it


@dataclass(frozen=True, slots=True)
class AcceptedCandidates:
    """How many candidates a fit accepted."""

    taken: int
    known: int  # words of fields and titles anyway
    absent: int  # in no title


def sample_items(items: Iterable[Item], limit: int) -> list[Item]:
    """Return items with distinct titles, at most `limit`, those with the lowest hash of the title.

    The sample does not depend on the order of items. Descriptions are left out, since no tagger
    reads them.
    """
    heap: list[tuple[int, str]] = []
    chosen: dict[str, Item] = {}
    for item in items:
        if item.title in chosen:
            continue
        digest = blake2b(item.title.encode(errors="surrogatepass"), digest_size=8).digest()
        entry = (-int.from_bytes(digest, "big"), item.title)
        if len(heap) < limit:
            heappush(heap, entry)
        elif entry > heap[0]:
            del chosen[heappushpop(heap, entry)[1]]
        else:
            continue
        chosen[item.title] = Item(item.id, item.title, fields=item.fields)
    return [chosen[title] for _, title in sorted(heap, reverse=True)]


def find_candidates(
    tagger: Tagger,
    items: Sequence[Item],
    vocabulary: Vocabulary,
    groups: Sequence[Group],
    progress: Callable[[int], None] | None = None,
) -> list[Candidate]:
    """Return the words that the tagger finds in titles beyond the vocabulary, most titles first.

    An item's fields close their categories to the tagger, which only guesses. `progress` is called
    with the number of titles read.
    """
    extractor = Extractor(Codebook(groups, vocabulary.fields, (), form=vocabulary.form))
    known = {spelling_key(form.word) for entry in vocabulary.entries for form in entry.forms}
    scores: defaultdict[tuple[int, str], list[float]] = defaultdict(list)
    examples: dict[tuple[int, str], str] = {}
    for start in range(0, len(items), _BATCH_TITLES):
        batch = items[start : start + _BATCH_TITLES]
        for item, values in zip(batch, tagger.tag([item.title for item in batch]), strict=True):
            closed = {found.category for found in extractor.of_fields(item)}
            for key, score in _words_in(item.title, values, vocabulary.form).items():
                if key[0] not in closed and spelling_key(key[1]) not in known:
                    scores[key].append(score)
                    examples.setdefault(key, " ".join(item.title.split()))
        if progress:
            progress(start + len(batch))
    return sorted(
        (
            Candidate(
                *key,
                len(word_scores),
                round(fsum(word_scores) / len(word_scores), 3),
                examples[key],
            )
            for key, word_scores in scores.items()
        ),
        key=lambda one: (-one.titles, -one.score, one.category, one.word),
    )


def _words_in(
    title: str, values: Sequence[Tagged], form: SearchForm
) -> dict[tuple[int, str], float]:
    """Return the (category, word) of each value that may be a candidate, with its score."""
    words: dict[tuple[int, str], float] = {}
    for value in values:
        word = canonical(form.normalise(title[value.begin : value.end]))
        if is_candidate(word, value.category):
            words.setdefault((value.category, word), value.score)
    return words


def count_accepted(vocabulary: Vocabulary, candidates: Mapping[str, int]) -> AcceptedCandidates:
    """Count the candidates that became words of the vocabulary fitted with them."""
    taken = {
        form.word
        for entry in vocabulary.entries
        for form in entry.forms
        if WordOrigin.TAGGER in form.origin
    }
    known = (candidates.keys() & vocabulary.dictionary.keys()) - taken
    return AcceptedCandidates(len(taken), len(known), len(candidates) - len(taken) - len(known))


def write_candidates(candidates: Iterable[Candidate], file: Path) -> None:
    """Write the table; docs/formats.md specifies it."""
    lines = (
        f"{CATEGORIES[one.category]}\t{one.word}\t{one.titles}\t{one.score:.3f}\t{one.example}\n"
        for one in candidates
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\t".join(_COLUMNS) + "\n" + "".join(lines), encoding="utf-8")


def read_candidates(file: Path, form: SearchForm = NEWEST_FORM) -> dict[str, int]:
    """Return the category of each word of a table; the first row of a word counts.

    Only the first two columns are read.
    Raises: CandidatesInvalid.
    """
    remedy = "write `category <TAB> word` lines, or let `kae vocabulary candidates` write them"
    try:
        header, *lines = file.read_text(encoding="utf-8-sig").splitlines() or [""]
    except (OSError, UnicodeDecodeError) as error:
        raise CandidatesInvalid(f"{file}: no table of candidates ({error}); {remedy}") from None
    if header.split("\t")[:2] != list(_COLUMNS[:2]):
        raise CandidatesInvalid(
            f"{file}, line 1: {header[:100]!r} is no header of candidates; it begins with "
            f"`category <TAB> word`"
        )
    read: dict[str, int] = {}
    for number, line in enumerate(lines, start=2):
        category, _, rest = line.partition("\t")
        text = rest.partition("\t")[0]
        word = form.normalise(text)
        if category not in CATEGORY_INDEX:
            raise CandidatesInvalid(
                f"{file}, line {number}: {category[:100]!r} is no category; it is one of "
                f"{', '.join(CATEGORIES)}"
            )
        if not is_candidate(word, CATEGORY_INDEX[category]):
            raise CandidatesInvalid(
                f"{file}, line {number}: {text[:100]!r} is no word that titles are searched for: "
                "too long or too short, a number, a measure, a model number or a word of grammar; "
                "remove the line"
            )
        read.setdefault(word, CATEGORY_INDEX[category])
    return read


def is_candidate(word: str, category: int) -> bool:
    """Whether a word may be a candidate; measures and model numbers need no listing."""
    by_shape = is_measure(word) or is_model(word)
    return is_word(word, category) and is_scannable(word) and not by_shape
