"""How often a model finds what people chose, in one view of the index."""

from collections.abc import Iterator, Sequence
from statistics import median
from time import perf_counter

import msgspec
import numpy as np

from kae.encoders.retriever.fusion import fuse_rankings
from kae.encoders.retriever.samples import Behaviour
from kae.streams.replica.view import View
from kae.streams.retrieval.model_search import ModelSearch

DEPTHS = (10, 100, 350)


class ModelScores(msgspec.Struct, frozen=True):
    """Means over pairs of a query and an item that was clicked or ordered.

    HR@k: the item is among the first k. MRR: 1 / its rank, 0 beyond the last depth.
    """

    hit_rate: dict[str, float]
    mrr: float


class ModelEvaluated(msgspec.Struct, frozen=True):
    """What `kae model evaluate --json` prints. Milliseconds are of one query alone."""

    model: ModelScores
    both: ModelScores
    own_words: ModelScores
    queries: int
    pairs: int
    unknown: int  # items that were chosen and are not in the index; they count as not found
    beams: int
    p50_ms: float
    p99_ms: float


def chosen_by_query(behaviour: Sequence[Behaviour]) -> dict[str, list[str]]:
    """By query, the items that were clicked or ordered, once each."""
    chosen: dict[str, dict[str, None]] = {}
    for row in behaviour:
        chosen.setdefault(row.query, {}).update(dict.fromkeys(row.chosen()))
    return {query: [*items] for query, items in chosen.items()}


def evaluate_model(
    search: ModelSearch, view: View, chosen: dict[str, list[str]], beams: int
) -> ModelEvaluated:
    times: list[float] = []
    model: list[float] = []
    both: list[float] = []
    words: list[float] = []
    for query, items in chosen.items():
        began = perf_counter()
        (ranking,) = search.rank(view, [query], DEPTHS[-1])
        times.append(perf_counter() - began)
        by_words = search.rank_by_words(view, query, DEPTHS[-1])
        model += _ranks(ranking, items)
        words += _ranks(by_words, items)
        both += _ranks(fuse_rankings(ranking, by_words, DEPTHS[-1]), items)
    milliseconds = np.array(times) * 1000
    return ModelEvaluated(
        model=_scores(model),
        both=_scores(both),
        own_words=_scores(words),
        queries=len(chosen),
        pairs=len(model),
        unknown=sum(view.live_item(item) is None for items in chosen.values() for item in items),
        beams=beams,
        p50_ms=round(float(median(milliseconds)), 3),
        p99_ms=round(float(np.quantile(milliseconds, 0.99)), 3),
    )


def _ranks(ranking: Sequence[str], items: Sequence[str]) -> Iterator[float]:
    """The rank of each item, from 1; infinite where it is not."""
    places = {item: rank for rank, item in enumerate(ranking, 1)}
    for item in items:
        yield places.get(item, np.inf)


def _scores(ranks: Sequence[float]) -> ModelScores:
    found = np.array(ranks)
    hit_rate = {str(depth): round(float((found <= depth).mean()), 4) for depth in DEPTHS}
    return ModelScores(hit_rate, round(float((1 / found).mean()), 4))
