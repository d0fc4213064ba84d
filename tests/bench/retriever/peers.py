"""What a team would use instead of a trained retriever, over the same items.

bm25         kae.bench.bm25_peer
doc-t5-query BM25, over titles with queries that a model made up for them
dense        MiniLM, tuned on the same pairs
words        kae's own search without a model (docs/adr/0015-search.md)
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from kae.bench.bm25_peer import Bm25Peer
from kae.bench.retriever.dense_peer import BATCH as DENSE_BATCH
from kae.bench.retriever.dense_peer import DensePeer
from kae.bench.retriever.doc_t5_query import BATCH as DOC_BATCH
from kae.bench.retriever.doc_t5_query import DocT5Query
from kae.bench.retriever.judged_queries import JudgedQuery
from kae.bench.retriever.ranking_measures import DEEPEST, Rankings
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.streams.cli import terminal
from kae.streams.replica.search import Search
from kae.streams.replica.view import View
from kae.streams.retrieval.memory_index import fold_in_memory
from kae.streams.topology.types import Topology

BM25, DOC_T5_QUERY, DENSE, WORDS = "bm25", "doc-t5-query", "dense", "words"
# What a minute of training is worth in pairs, so that the same minutes give the same model.
DENSE_PAIRS_A_MINUTE = 2_400
DOC_PAIRS_A_MINUTE = 12_000


class RankingPeer(Protocol):
    """Ranks ids of items for a query."""

    def rank(self, query: str, limit: int) -> list[str]: ...


class WordsPeer:
    """A replica's search, without a model."""

    def __init__(self, view: View, codebook: Codebook, topology: Topology) -> None:
        self._view = view
        self._search = Search(codebook, topology.replica.beam)

    def rank(self, query: str, limit: int) -> list[str]:
        return [hit.id for hit in self._search.answer(self._view, query, limit).items]


@contextmanager
def words_peer(
    items: Sequence[Item], codebook: Codebook, topology: Topology
) -> Iterator[WordsPeer]:
    with fold_in_memory(items, codebook, topology) as index:
        yield WordsPeer(index.view, codebook, topology)


def rankings_of_peers(
    items: Sequence[Item],
    warm: Sequence[Item],
    train: Sequence[JudgedQuery],
    codebook: Codebook,
    topology: Topology,
    asked: Sequence[str],
    minutes: float,
    seed: int,
) -> dict[str, Rankings]:
    """What each peer answers; `items` are searched, `warm` and `train` are learned from."""

    def told(name: str, peer: RankingPeer) -> Rankings:
        terminal.err.print(f"seed {seed}: asking {name}", highlight=False)
        return [peer.rank(query, DEEPEST) for query in asked]

    found = {BM25: told(BM25, Bm25Peer(items))}
    with words_peer(items, codebook, topology) as words:
        found[WORDS] = told(WORDS, words)
    made = DocT5Query(warm, train, round(minutes * DOC_PAIRS_A_MINUTE / DOC_BATCH), seed)
    found[DOC_T5_QUERY] = told(DOC_T5_QUERY, made.peer(items))
    steps = round(minutes * DENSE_PAIRS_A_MINUTE / DENSE_BATCH)
    dense = DensePeer(warm, train, steps, seed)
    dense.index(items)
    found[DENSE] = told(DENSE, dense)
    return found
