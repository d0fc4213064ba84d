"""What the vocabulary knows of held-back queries, before anything is trained."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from kae.bench.retriever.judged_queries import JudgedQuery
from kae.encoders.categories import POSITIONS
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Item
from kae.encoders.query import BoundTerms, QueryEncoder


class QueryCoverage(msgspec.Struct, frozen=True):
    """Of the held-back queries that have a clicked item.

    `identifier`: the query's own identifier, as the encoder of items gives it. `clauses`: what a
    replica's search makes of the query, which also corrects spelling and takes parts of words.
    """

    queries: int
    with_identifier: int  # at least one position is not empty
    by_positions: tuple[int, ...]  # queries that fill none, one, ... all six positions
    with_clauses: int  # at least one slot in a clause
    with_unknown: int  # at least one word that the vocabulary does not have
    pairs: int  # of a query and an item clicked for it
    pairs_in_catalog: int
    pairs_sharing_a_slot: int  # the query's identifier and the item's have a slot in common
    pairs_sharing_all: int  # the item's has every slot of the query's, and there are some


def coverage_of(
    codebook: Codebook,
    codes: NDArray[np.int32],
    ids: Sequence[str],
    queries: Sequence[JudgedQuery],
) -> QueryCoverage:
    """`codes` are the identifiers of the items, `ids` their ids."""
    own = query_identifiers(codebook, [query.text for query in queries])
    clauses = QueryEncoder(codebook)
    read = [clauses.encode(query.text, BoundTerms()) for query in queries]
    row_of = {item: row for row, item in enumerate(ids)}
    asked, found = _pairs(queries, row_of)
    same = (own[asked] == codes[found]) & (own[asked] > 0)
    filled = (own > 0).sum(axis=1)
    return QueryCoverage(
        queries=len(queries),
        with_identifier=int((filled > 0).sum()),
        by_positions=tuple(np.bincount(filled, minlength=POSITIONS + 1).tolist()),
        with_clauses=sum(any(clause.slots for clause in query.clauses) for query in read),
        with_unknown=sum(bool(query.unknown) for query in read),
        pairs=sum(len(query.clicked) for query in queries),
        pairs_in_catalog=len(found),
        pairs_sharing_a_slot=int(same.any(axis=1).sum()),
        pairs_sharing_all=int(((same.sum(axis=1) == filled[asked]) & (filled[asked] > 0)).sum()),
    )


def query_identifiers(codebook: Codebook, texts: Sequence[str]) -> NDArray[np.int32]:
    """(queries, 6): queries are encoded as titles are, by the same dictionary."""
    encoded = Encoder(codebook).encode_all([Item("query", text) for text in texts])
    return np.array([one.identifier for one in encoded], np.int32).reshape(-1, POSITIONS)


def _pairs(
    queries: Sequence[JudgedQuery], row_of: Mapping[str, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The queries and the items of all pairs that the catalog has, as rows."""
    pairs = [
        (number, row_of[item])
        for number, query in enumerate(queries)
        for item in sorted(query.clicked)
        if item in row_of
    ]
    table = np.array(pairs, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]
