"""Binds words for the protocols of bound_words.py, and edits closed codebooks fairly."""

from collections.abc import Sequence
from dataclasses import dataclass

from kae.bench.retriever.bound_words import Answered, BoundWord, SlotsMissing, dealt
from kae.bench.retriever.live_index import BoundItems, LiveIndex, ReachedItems
from kae.bench.retriever.trained import TermsOf, TrainedEncoding
from kae.encoders.categories import Slot
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.query import BoundTerms
from kae.encoders.retriever.beams import Beams
from kae.encoders.retriever.query_identifier import QueryIdentifiers
from kae.encoders.retriever.samples import Identify
from kae.streams.retrieval.model_decoding import PATH_ITEMS


@dataclass(frozen=True, slots=True)
class BoundIndex:
    """An index with bound words, and what a query says, these words included."""

    index: LiveIndex
    identify: Identify
    terms_of: TermsOf


def bind(words: Sequence[BoundWord], trained: TrainedEncoding, codebook: Codebook) -> BoundIndex:
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
    return BoundIndex(
        index,
        lambda text: identifiers.identify(text, terms),
        lambda text: identifiers.term_slots(text, terms),
    )


def edit_fairly(
    words: Sequence[BoundWord], alone: Sequence[Beams], trained: TrainedEncoding
) -> LiveIndex:
    """The index with items also under identifiers of `alone`: what each word leads to by itself.

    These are live already, so the mask stays as it is, and so does what the model emits.
    """
    also = [
        (row, identifier)
        for word, found in zip(words, alone, strict=True)
        for row, identifier in dealt([*word.rows], found.identifiers.tolist(), PATH_ITEMS)
    ]
    return LiveIndex(trained.encoding.codes, trained.encoding.capacities, also=also)


def answers(words: Sequence[BoundWord], reached: Sequence[ReachedItems]) -> list[Answered]:
    """What was reached for each word; a binding is that of the word with the same number."""
    found = []
    for number, (word, one) in enumerate(zip(words, reached, strict=True), 1):
        pairs = zip(one.rows, one.bindings, strict=True)
        hits = [binding for row, binding in pairs if row in word.rows]
        found.append(Answered(bool(hits), number in hits))
    return found
