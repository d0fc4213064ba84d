"""What models and other searches answered, before it is summed up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kae.bench.retriever.bound_words import Answered, BoundWord
from kae.bench.retriever.ranking_measures import Rankings


@dataclass(frozen=True, slots=True)
class NonceAnswers:
    """Protocol (a): an answer for each nonce word, asked alone and in front of a query."""

    alone: list[Answered] = field(default_factory=list)
    in_queries: list[Answered] = field(default_factory=list)

    @property
    def all(self) -> list[Answered]:
        return self.alone + self.in_queries


@dataclass(frozen=True, slots=True)
class ModelRun:
    """What the model of one encoding answered; rankings are of the test queries."""

    rankings: Rankings
    free_rankings: Rankings  # decoded without a mask; what is not live is skipped
    live_share: float  # of the beams that are decoded without a mask
    samples: int  # that it learned from, repetitions included
    samples_per_second: float | None  # None: nobody has measured it
    parameters: int
    nonce: NonceAnswers  # of kae as it is served; of a closed codebook without any edit
    # Protocol (b): the queries that say a removed word, before it is bound (or edited), and after.
    real_before: Rankings
    real_after: Rankings
    # The same of a closed codebook with the fair edit, or of kae by the model's beams alone: its
    # search gives the terms of a query beams of their own.
    nonce_other: NonceAnswers
    real_other: Rankings


@dataclass(frozen=True, slots=True)
class StageRun:
    """What a model answered that lacks a stage, or none; answers alone and in queries together."""

    rankings: Rankings
    nonce: list[Answered]


@dataclass(frozen=True, slots=True)
class PeerAnswers:
    """What other searches answered: the test queries, and those that say a removed word."""

    rankings: dict[str, Rankings]
    real: dict[str, Rankings]
    nonce_bm25: NonceAnswers


@dataclass(frozen=True, slots=True)
class SeedAnswers:
    """All that one seed has answered."""

    models: Mapping[str, ModelRun]
    peers: PeerAnswers  # `both` among them
    nonce_words: Sequence[BoundWord]
    stages: Mapping[str, StageRun]  # by the stage that was left out
