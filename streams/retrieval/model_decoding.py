"""Decode queries under a live mask: beams, then the items behind them.

decode = replica.decode()                       # or SharedViews(folder).decode()
found = decode_queries(retriever, decode, [AskedQuery("tea pot", slots)], beams=64)
found[0].items                                  # shard, ordinal, path and score, the best first
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kae.encoders.retriever.beams import AskedQuery, Beams, beam_search
from kae.encoders.retriever.network import Retriever
from kae.sinks.trie.decoding import PathItems
from kae.sinks.trie.path_mask import PathMask
from kae.streams.errors import ModelDiffers
from kae.streams.replica.decode import Constraint

# Most items of one identifier, as in the paper; the most popular ones, those pinned first.
PATH_ITEMS = 5


@dataclass(frozen=True, slots=True)
class DecodedItems:
    """Items by the best of their paths, the best first; `paths` are numbers of beams.

    `bindings` is 0 where the path is the item's own.
    """

    shards: NDArray[np.uint16]
    ordinals: NDArray[np.uint32]
    bindings: NDArray[np.int64]
    paths: NDArray[np.int64]
    scores: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class DecodedQuery:
    """What a model makes of a query in one version of the index.

    `sizes` is how many items each beam leads to, at most as many as were asked for. `routed` are
    the beams that were decoded among the paths of the query's terms alone.
    """

    beams: Beams
    routed: NDArray[np.bool_]
    sizes: NDArray[np.int64]
    items: DecodedItems


def decode_queries(
    retriever: Retriever,
    decode: Constraint,
    queries: Sequence[AskedQuery],
    beams: int,
    *,
    path_items: int = PATH_ITEMS,
) -> list[DecodedQuery]:
    """Decode queries together; every identifier has live items in the decode's version.

    If a query names bound terms, up to half of its beams are decoded among their paths alone, and
    alternate with the others. A term's slot may be the last of its path, and the beams that come
    so far rarely hold the slots before it.
    Raises: ModelDiffers when the model has other slots than the index.
    """
    check_capacities(retriever, decode.capacities)
    found = []
    for query, free in zip(
        queries, beam_search(retriever, queries, decode.mask, beams), strict=True
    ):
        merged, routed = free, np.zeros(len(free.scores), np.bool_)
        if query.terms:
            paths = np.concatenate([decode.paths_through(slot) for slot in query.terms])
            mask = PathMask(paths, decode.capacities)
            (through,) = beam_search(retriever, [query], mask, max(1, beams // 2))
            merged, routed = _alternated(through, free, beams)
        behind = decode.behind(merged.identifiers, path_items)
        found.append(_decoded(merged, routed, behind))
    return found


def _alternated(first: Beams, second: Beams, most: int) -> tuple[Beams, NDArray[np.bool_]]:
    """The beams of both in turns, once each, and which of them the first has."""
    identifiers = np.concatenate([first.identifiers, second.identifiers])
    turns = np.concatenate([np.arange(len(first.scores)), np.arange(len(second.scores)) + 0.5])
    order = np.argsort(turns, kind="stable")
    once = np.unique(identifiers[order], axis=0, return_index=True)[1]
    kept = order[np.sort(once)][:most]
    scores = np.concatenate([first.scores, second.scores])
    routed = (identifiers[kept][:, None] == first.identifiers[None]).all(-1).any(-1)
    return Beams(identifiers[kept], scores[kept]), routed


def check_capacities(retriever: Retriever, capacities: Sequence[int]) -> None:
    """Raises: ModelDiffers."""
    if retriever.layout.capacities != tuple(capacities):
        raise ModelDiffers(
            f"the model has slots {retriever.layout.capacities}, the index {tuple(capacities)}; "
            "train one on samples of this generation"
        )


def _decoded(beams: Beams, routed: NDArray[np.bool_], behind: PathItems) -> DecodedQuery:
    sizes = np.diff(behind.first)
    paths = np.repeat(np.arange(len(sizes)), sizes)
    # Of an item with several paths the first is the best, since beams are in order.
    keys = behind.shards.astype(np.int64) << 32 | behind.ordinals
    once = np.sort(np.unique(keys, return_index=True)[1])
    items = DecodedItems(
        behind.shards[once],
        behind.ordinals[once],
        behind.bindings[once],
        paths[once],
        beams.scores[paths[once]],
    )
    return DecodedQuery(beams, routed, sizes, items)
