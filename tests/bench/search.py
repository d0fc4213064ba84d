"""A replica's search compared with BM25: the same judged queries over the same items."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import msgspec

from kae.bench.bm25_peer import Bm25Peer
from kae.bench.judgements import JudgementsInvalid, Ratings, read_judgements
from kae.bench.relevance import RECALL_DEPTH, has_relevant, relevance
from kae.encoders.codebook.codebook import Codebook
from kae.streams.catalog.rows import read_items
from kae.streams.cli import terminal
from kae.streams.replica.search import Search
from kae.streams.retrieval.memory_index import fold_in_memory
from kae.streams.topology.types import Topology


class SearchReport(msgspec.Struct, frozen=True):
    """What `kae bench search --json` prints; kae.bench.relevance defines the measures."""

    recall_ratio_to_bm25: float
    ndcg_ratio_to_bm25: float
    recall_at_350: float
    ndcg_at_10: float
    bm25_recall_at_350: float
    bm25_ndcg_at_10: float
    p50_ms: float
    bm25_p50_ms: float
    queries: int
    queries_without_relevant: int  # left out of every measure
    judged: int
    judged_not_in_catalog: int
    items: int
    paths: int
    codebook: str
    took_seconds: float


def measure_search(
    judgements: Path, catalog: Sequence[Path], topology: Topology, codebook_folder: Path
) -> SearchReport:
    """Index the catalog both ways and ask both every query.

    Raises: JudgementsInvalid, CatalogInvalid, CodebookInvalid.
    """
    began = time.perf_counter()
    judged = read_judgements(judgements)
    asked = {query: ratings for query, ratings in judged.items() if has_relevant(ratings)}
    if not asked:
        raise JudgementsInvalid(f"{judgements}: no query has an item rated above 0; nothing to ask")
    items = list(read_items(catalog, topology.catalog))
    ids = {item.id for item in items}
    codebook = Codebook.load(codebook_folder)
    terminal.err.print(f"{len(asked):,} queries, {len(items):,} items", highlight=False)
    peer = Bm25Peer(items)
    theirs, their_ms = _ranked(asked, lambda query: peer.rank(query, RECALL_DEPTH))
    search = Search(codebook, topology.replica.beam)
    with fold_in_memory(items, codebook, topology) as index:
        ours, our_ms = _ranked(
            asked,
            lambda query: [hit.id for hit in search.answer(index.view, query, RECALL_DEPTH).items],
        )
        paths = index.view.trie.path_count
    mine, bm25 = relevance(ours, asked), relevance(theirs, asked)
    return SearchReport(
        recall_ratio_to_bm25=_ratio(mine.recall, bm25.recall),
        ndcg_ratio_to_bm25=_ratio(mine.ndcg, bm25.ndcg),
        recall_at_350=round(mine.recall, 4),
        ndcg_at_10=round(mine.ndcg, 4),
        bm25_recall_at_350=round(bm25.recall, 4),
        bm25_ndcg_at_10=round(bm25.ndcg, 4),
        p50_ms=our_ms,
        bm25_p50_ms=their_ms,
        queries=len(asked),
        queries_without_relevant=len(judged) - len(asked),
        judged=sum(map(len, asked.values())),
        judged_not_in_catalog=sum(len(ratings.keys() - ids) for ratings in asked.values()),
        items=len(items),
        paths=paths,
        codebook=codebook.fingerprint,
        took_seconds=round(time.perf_counter() - began, 1),
    )


def _ranked(
    asked: Mapping[str, Ratings], rank: Callable[[str], list[str]]
) -> tuple[dict[str, list[str]], float]:
    """Each query's ranking, and the median time of one in milliseconds."""
    rankings, times = {}, []
    for query in asked:
        began = time.perf_counter()
        rankings[query] = rank(query)
        times.append(time.perf_counter() - began)
    return rankings, round(median(times) * 1000, 3)


def _ratio(ours: float, theirs: float) -> float:
    return round(ours / theirs, 4) if theirs else 0.0
