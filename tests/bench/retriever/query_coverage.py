"""What the vocabulary knows of held-back queries, before anything is trained."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from kae.bench.retriever.judged_queries import JudgedQuery
from kae.encoders.categories import POSITIONS, Slot
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Encoded, Item
from kae.encoders.query import BoundTerms, QueryEncoder
from kae.encoders.retriever.query_identifier import QueryIdentifiers


class QueryCoverage(msgspec.Struct, frozen=True):
    """Of the held-back queries that have a clicked item.

    A query's identifier is what a model is told. A pair is a query and an item clicked for it.
    """

    queries: int
    with_identifier: int  # at least one position is not empty
    by_positions: tuple[int, ...]  # queries that fill none, one, ... all six positions
    with_unknown: int  # at least one word that the vocabulary does not have
    pairs: int
    pairs_in_catalog: int
    pairs_sharing_a_slot: int  # the query's identifier and the item's have a slot in common
    pairs_sharing_a_word: int  # a word of the query is one of the item's, on its identifier or not


def coverage_of(
    codebook: Codebook,
    items: Sequence[Item],
    asked: NDArray[np.int32],
    queries: Sequence[JudgedQuery],
) -> QueryCoverage:
    """`asked` are the identifiers of the queries, (queries, 6)."""
    encoder = QueryEncoder(codebook)
    read = [encoder.encode(query.text, BoundTerms()) for query in queries]
    in_pairs = {item for query in queries for item in query.clicked}
    wanted = [item for item in items if item.id in in_pairs]
    encoded = dict(zip((i.id for i in wanted), Encoder(codebook).encode_all(wanted), strict=True))
    found = [
        (number, encoded[item])
        for number, query in enumerate(queries)
        for item in query.clicked
        if item in encoded
    ]
    own = [{*_filled(row)} for row in asked.tolist()]
    said = [{slot for clause in query.clauses for slot in clause.slots} for query in read]
    return QueryCoverage(
        queries=len(queries),
        with_identifier=sum(map(bool, own)),
        by_positions=tuple(np.bincount([*map(len, own)], minlength=POSITIONS + 1).tolist()),
        with_unknown=sum(bool(query.unknown) for query in read),
        pairs=sum(len(query.clicked) for query in queries),
        pairs_in_catalog=len(found),
        pairs_sharing_a_slot=sum(
            not own[number].isdisjoint(_filled(item.identifier)) for number, item in found
        ),
        pairs_sharing_a_word=sum(
            not said[number].isdisjoint(_word_slots(codebook, item)) for number, item in found
        ),
    )


def query_identifiers(codebook: Codebook, texts: Sequence[str]) -> NDArray[np.int32]:
    """(queries, 6), as a model is told them."""
    identifiers = QueryIdentifiers(codebook)
    rows = [identifiers.identify(text) for text in texts]
    return np.array(rows, np.int32).reshape(-1, POSITIONS)


@dataclass(frozen=True, slots=True)
class SharedPositions:
    """The share of pairs in which two identifiers have a position in common, not an empty one.

    `by_chance`: the same, if each query had the items of another pair.
    """

    pairs: float
    by_chance: float


def shared_positions(
    asked: NDArray[np.int32],
    codes: NDArray[np.int32],
    row_of: Mapping[str, int],
    queries: Sequence[JudgedQuery],
    *,
    has_empty: bool,
) -> SharedPositions:
    """`asked` are identifiers of the queries, `codes` those of the items in rows."""
    pairs = [
        (number, row_of[item])
        for number, query in enumerate(queries)
        for item in sorted(query.clicked)
        if item in row_of
    ]
    table = np.array(pairs, np.int64).reshape(-1, 2)
    own, items = asked[table[:, 0]], codes[table[:, 1]]

    def share(others: NDArray[np.int32]) -> float:
        same = (own == others) & ((own > 0) | (not has_empty))
        return round(float(same.any(axis=1).mean()), 4) if len(same) else 0.0

    return SharedPositions(share(items), share(np.roll(items, len(items) // 2, axis=0)))


def _filled(row: Sequence[int]) -> Iterator[Slot]:
    return (Slot(position, index) for position, index in enumerate(row) if index)


def _word_slots(codebook: Codebook, item: Encoded) -> Iterator[Slot]:
    slots = (codebook.slot_of(found.category, found.word) for found in item.attributes)
    return (slot for slot in slots if slot is not None and slot.index)
