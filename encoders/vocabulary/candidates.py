"""Words that the tagger finds in titles and the vocabulary does not know.

A table of them is for people, too: they strike out what is no word of their catalog, or add what
is, and give the table to the next fit, which counts the titles that say each word (dictionary.py).
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
from kae.encoders.text.normal_form import normalise
from kae.encoders.text.spelling import one_spelling
from kae.encoders.text.values import is_word
from kae.encoders.vocabulary.vocabulary import Vocabulary, WordOrigin, is_scannable

_COLUMNS = ("category", "word", "titles", "score", "example")
_AT_A_TIME = 64


class CandidatesInvalid(ValueError):
    """A file that is no table of candidates: where, what, remedy."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A word that may be one of the catalog."""

    category: int
    word: str
    titles: int  # of those looked at that have it
    score: float  # how sure the tagger is of it, on average
    example: str  # a title that has it


@dataclass(frozen=True, slots=True)
class AcceptedCandidates:
    """What became of the candidates that a fit was given."""

    taken: int
    known: int  # the catalog's fields and titles have them without being told
    absent: int  # no title says them


def sample_items(items: Iterable[Item], most: int) -> list[Item]:
    """At most so many items with different titles, whatever order they come in: lowest hash first.

    They come without descriptions, which no tagger reads.
    """
    heap: list[tuple[int, str]] = []
    chosen: dict[str, Item] = {}
    for item in items:
        if item.title in chosen:
            continue
        digest = blake2b(item.title.encode(errors="surrogatepass"), digest_size=8).digest()
        entry = (-int.from_bytes(digest, "big"), item.title)
        if len(heap) < most:
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
    """The words that the tagger finds in titles beyond the vocabulary; first those of most titles.

    What an item's fields say of a category closes it for the tagger, which guesses. `progress` is
    told how many titles are read.
    """
    extractor = Extractor(Codebook(groups, vocabulary.fields, ()))
    known = {one_spelling(form.word) for entry in vocabulary.entries for form in entry.forms}
    scores: defaultdict[tuple[int, str], list[float]] = defaultdict(list)
    examples: dict[tuple[int, str], str] = {}
    for start in range(0, len(items), _AT_A_TIME):
        batch = items[start : start + _AT_A_TIME]
        for item, values in zip(batch, tagger.tag([item.title for item in batch]), strict=True):
            closed = {found.category for found in extractor.of_fields(item)}
            for key, score in _words_in(item.title, values).items():
                if key[0] not in closed and one_spelling(key[1]) not in known:
                    scores[key].append(score)
                    examples.setdefault(key, " ".join(item.title.split()))
        if progress:
            progress(start + len(batch))
    return sorted(
        (
            Candidate(*key, len(given), round(fsum(given) / len(given), 3), examples[key])
            for key, given in scores.items()
        ),
        key=lambda one: (-one.titles, -one.score, one.category, one.word),
    )


def _words_in(title: str, values: Sequence[Tagged]) -> dict[tuple[int, str], float]:
    """(category, word) of each value that a dictionary may have, with its score."""
    words: dict[tuple[int, str], float] = {}
    for value in values:
        word = canonical(normalise(title[value.begin : value.end]))
        if is_candidate(word, value.category):
            words.setdefault((value.category, word), value.score)
    return words


def accept_candidates(vocabulary: Vocabulary, candidates: Mapping[str, int]) -> AcceptedCandidates:
    """How many of the candidates are words of a vocabulary that was fitted with them."""
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


def read_candidates(file: Path) -> dict[str, int]:
    """The category of each word of a table; of a word that comes twice, the first.

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
        word = normalise(text)
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
    """Whether a dictionary may have it; what is known by its shape needs none."""
    by_shape = is_measure(word) or is_model(word)
    return is_word(word, category) and is_scannable(word) and not by_shape
