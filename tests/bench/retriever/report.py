"""What `kae bench retriever --json` prints: one object, docs/retriever.md shows it as tables."""

import msgspec

from kae.bench.retriever.resampling import Interval


class Ranked(msgspec.Struct, frozen=True):
    """How well rankings answer the held-back queries: kae.bench.retriever.ranking_measures."""

    hr10: float
    hr100: float
    hr350: Interval
    order_hr350: float
    recall350: float
    mrr: float
    ndcg10: float


class EncodingRow(Ranked, frozen=True, kw_only=True):
    """A model of one encoding, under the mask; and without it."""

    free_hr350: float
    live_share: float  # of the beams decoded without a mask
    samples: int  # drawn in the training; S0 is kae's alone
    samples_per_second: float | None  # null: too few to tell
    parameters: int


class NonceRow(msgspec.Struct, frozen=True):
    """Protocol (a): shares of the words, asked alone and in front of a held-back query."""

    ihr350_alone: float
    ihr350_in_queries: float
    ihr350: Interval  # of both together
    iar350: Interval | None  # null where nothing is bound
    ihr350_by_position: tuple[float, ...]  # of the words bound at each position


class RealRow(msgspec.Struct, frozen=True):
    """Protocol (b): HR@350 of the queries that say a removed word."""

    before: float
    after: Interval  # bound; for a closed codebook, after the fair edit


class ColdRow(msgspec.Struct, frozen=True):
    """HR@350 of pairs whose item was learned from, and of those whose item came afterwards."""

    warm: Interval
    cold: Interval


class StageRow(msgspec.Struct, frozen=True):
    """kae's model trained without one stage, of the first seed."""

    hr350: float
    ihr350: float


class QueryCost(msgspec.Struct, frozen=True):
    """Of one query at a time, on two threads, from its text to its identifiers."""

    beam: int
    p50_ms: float
    p99_ms: float
    mask_share: float  # of the time


class RetrieverReport(msgspec.Struct, frozen=True):
    """Ratios are null where there is nothing to divide by. Means and intervals are over seeds.

    Bound words are asked as kae serves them, where the terms of a query have beams of their own;
    `beams_alone` is the model without that.
    """

    hr350_ratio_to_best_closed: float | None
    hr350_ratio_lower: float | None
    ihr350_ratio_to_best_closed: float | None
    ihr350_ratio_lower: float | None
    ihr350_ratio_beams_alone: float | None
    ihr350_ratio_to_fair_edit: float | None
    real_words_ratio_to_fair_edit: float | None
    real_words_ratio_lower: float | None
    real_words_ratio_beams_alone: float | None
    iar350_ratio_to_bm25: float | None
    cold_ratio_to_warm: float | None
    both_ratio_to_best_peer: float | None
    both_ratio_lower: float | None
    query_p50_ms: float
    encodings: dict[str, EncodingRow]
    peers: dict[str, Ranked]
    stages: dict[str, StageRow]
    nonce: dict[str, NonceRow]
    nonce_fair: dict[str, NonceRow]
    real: dict[str, RealRow]
    real_peers: dict[str, Interval]  # which have had the words all along, in the items' texts
    cold: dict[str, ColdRow]
    costs: tuple[QueryCost, ...]
    peak_memory_mb: float
    items: int
    cold_items: int
    train_queries: int
    queries: int  # asked: held back, with a clicked item, without a removed word
    queries_of_removed_words: int
    removed_words: int
    nonce_words: int
    minutes: float  # that a model's training is planned for
    seeds: tuple[int, ...]
    codebook: str
    took_seconds: float
