"""What an encoding allows, before anything is trained: the ceiling of a perfect decoder.

A perfect decoder knows which identifiers hold a clicked item. It emits only those, first the ones
with the highest share of clicked items. It does not choose among the items of one identifier: they
come in the table's order, which has only the first few of them. So its hit rate is below 1 only by
what shares an identifier, and by what the catalog lacks.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from kae.bench.retriever.encodings import (
    CLOSED,
    KAE,
    Encoding,
    closed_quantizer,
    encode_by_words,
)
from kae.bench.retriever.inputs import JudgedCatalog
from kae.bench.retriever.judged_queries import JudgedQuery
from kae.bench.retriever.query_coverage import (
    QueryCoverage,
    coverage_of,
    query_identifiers,
    shared_positions,
)
from kae.bench.retriever.ranking_measures import measure_rankings
from kae.encoders.fitting.closed_codebooks import Vectors
from kae.encoders.groups.information import IdentifierQuality, measure_identifiers
from kae.streams.cli import terminal


class EncodingCeiling(msgspec.Struct, frozen=True):
    """An encoding of the catalog, and the best that any model could do with it."""

    capacity: int  # of all positions together
    identifiers: int
    items_per_identifier: float  # the mean
    most_items_per_identifier: int
    quality: IdentifierQuality
    hr10: float
    hr100: float
    hr350: float
    # Whether the query's own identifier, which a model is told, says anything of the item's.
    pairs_sharing_a_position: float
    pairs_sharing_by_chance: float


class CeilingReport(msgspec.Struct, frozen=True):
    """What `kae bench retriever --ceiling --json` prints."""

    encodings: dict[str, EncodingCeiling]
    queries: QueryCoverage
    queries_held_back: int  # those without a clicked item included
    items: int
    codebook: str
    seed: int
    took_seconds: float


def measure_ceilings(
    given: JudgedCatalog,
    vectors_of: Callable[[Sequence[str]], Vectors],
    path_items: int,
    seed: int,
) -> CeilingReport:
    """Encode the catalog in every way; nothing is trained but the closed codebooks.

    `vectors_of` gives those of titles; `path_items` is how many items an identifier leads to.
    """
    began = time.perf_counter()
    words = encode_by_words(given.codebook, given.items)
    texts = [query.text for query in given.test]
    by_words = query_identifiers(given.codebook, texts)
    ceilings = {KAE: ceiling_of(words, by_words, given.ids, given.test, path_items)}
    terminal.err.print(f"embedding {len(given.items):,} titles", highlight=False)
    vectors = vectors_of([item.title for item in given.items])
    asked = vectors_of(texts)
    for name in CLOSED:
        quantizer = closed_quantizer(name, vectors, words.capacities, seed)
        terminal.err.print(f"fitted {name}", highlight=False)
        encoding = Encoding(name, quantizer.codes(vectors), words.capacities)
        ceilings[name] = ceiling_of(
            encoding, quantizer.codes(asked), given.ids, given.test, path_items
        )
    return CeilingReport(
        encodings=ceilings,
        queries=coverage_of(given.codebook, given.items, by_words, given.test),
        queries_held_back=given.queries_held_back,
        items=len(given.items),
        codebook=given.codebook.fingerprint,
        seed=seed,
        took_seconds=round(time.perf_counter() - began, 1),
    )


def ceiling_of(
    encoding: Encoding,
    asked: NDArray[np.int32],
    ids: Sequence[str],
    queries: Sequence[JudgedQuery],
    path_items: int,
) -> EncodingCeiling:
    """`ids` are those of the encoded items, in order; an identifier leads to the first of its own.

    `asked` are the identifiers of the queries, (queries, 6).

    Source of the table and its limit: OneRetrieval (arXiv 2606.13533).
    """
    _, numbers, sizes = np.unique(encoding.codes, axis=0, return_inverse=True, return_counts=True)
    behind: defaultdict[int, list[str]] = defaultdict(list)
    identifier_of = dict(zip(ids, numbers.reshape(-1).tolist(), strict=True))
    for item, number in identifier_of.items():
        if len(behind[number]) < path_items:
            behind[number].append(item)
    best = [_best_ranking(query, identifier_of, behind) for query in queries]
    measured = measure_rankings(best, queries)
    row_of = {item: row for row, item in enumerate(ids)}
    shared = shared_positions(asked, encoding.codes, row_of, queries, has_empty=encoding.has_words)
    return EncodingCeiling(
        capacity=sum(encoding.capacities),
        identifiers=len(sizes),
        items_per_identifier=round(float(sizes.mean()), 2),
        most_items_per_identifier=int(sizes.max()),
        quality=measure_identifiers(
            encoding.codes, encoding.capacities, has_empty=encoding.has_words
        ),
        hr10=round(measured.hit_rate(10), 4),
        hr100=round(measured.hit_rate(100), 4),
        hr350=round(measured.hit_rate(350), 4),
        pairs_sharing_a_position=shared.pairs,
        pairs_sharing_by_chance=shared.by_chance,
    )


def _best_ranking(
    query: JudgedQuery, identifier_of: Mapping[str, int], table: Mapping[int, Sequence[str]]
) -> list[str]:
    numbers = {identifier_of[item] for item in query.clicked if item in identifier_of}

    def order(number: int) -> tuple[float, int]:
        listed = table[number]
        return -len(query.clicked.intersection(listed)) / len(listed), number

    return [item for number in sorted(numbers, key=order) for item in table[number]]
