"""Binds words for the protocols of bound_words.py, edits closed codebooks fairly, and asks."""

from collections.abc import Sequence

from kae.bench.retriever.bound_words import Answered, BoundWord, SlotsMissing
from kae.bench.retriever.live_index import BoundItems, LiveIndex
from kae.bench.retriever.ranking_measures import DEEPEST
from kae.bench.retriever.trained import TrainedEncoding
from kae.encoders.categories import Identifier, Slot
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.query import BoundTerms
from kae.encoders.retriever.query_identifier import QueryIdentifiers
from kae.encoders.retriever.samples import Identify

# The fair edit puts items under so many identifiers that a word's query leads to.
FAIR_IDENTIFIERS = 10


def bind(
    words: Sequence[BoundWord], trained: TrainedEncoding, codebook: Codebook
) -> tuple[LiveIndex, Identify]:
    """The index with words on reserved slots, and queries that know of them.

    Raises: SlotsMissing.
    """
    for position, group in enumerate(codebook.groups):
        wanted = sum(word.position == position for word in words)
        if wanted > group.reserved:
            raise SlotsMissing(
                f"position {position}: {wanted} words are to be bound at once, {group.reserved} "
                "slots are reserved; give fewer --removed-words, or reserve more in topology.yaml"
            )
    free = {position: iter(codebook.reserved(position)) for position in range(len(codebook.groups))}
    bound = {
        number: BoundItems(Slot(word.position, next(free[word.position])), word.rows)
        for number, word in enumerate(words, 1)
    }
    terms = BoundTerms(
        (number, form, bound[number].slot)
        for number, word in enumerate(words, 1)
        for form in word.forms
    )
    identifiers = QueryIdentifiers(codebook)
    encoding = trained.encoding
    index = LiveIndex(encoding.codes, encoding.capacities, bound)
    return index, lambda text: identifiers.identify(text, terms)


def edit_fairly(words: Sequence[BoundWord], trained: TrainedEncoding) -> LiveIndex:
    """The index with the words' items also under identifiers that the words alone lead to."""
    also: list[tuple[int, Identifier]] = []
    emitted = trained.first_paths([word.word for word in words], FAIR_IDENTIFIERS)
    for word, paths in zip(words, emitted, strict=True):
        for a, b, c, d, e, f in paths.tolist():
            also += ((row, (a, b, c, d, e, f)) for row in word.rows)
    return LiveIndex(trained.encoding.codes, trained.encoding.capacities, also=also)


def answer(
    words: Sequence[BoundWord],
    queries: Sequence[str],
    trained: TrainedEncoding,
    index: LiveIndex | None = None,
    identify: Identify | None = None,
    depth: int = DEEPEST,
) -> list[Answered]:
    """Ask a query for each word; a binding is that of the word with the same number."""
    answered = []
    found = trained.ask(queries, depth, index=index, identify=identify)
    for number, (word, one) in enumerate(zip(words, found, strict=True), 1):
        reached = list(zip(one.reached.rows, one.reached.bindings, strict=True))[:depth]
        hits = [binding for row, binding in reached if row in word.rows]
        answered.append(Answered(bool(hits), number in hits))
    return answered
