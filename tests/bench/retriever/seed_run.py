"""One seed of `kae bench retriever`: every model is trained once, and asked everything."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyroaring import BitMap

from kae.bench.retriever import interventions
from kae.bench.retriever.bound_words import Answered, BoundWord, in_rounds, nonce_words
from kae.bench.retriever.encodings import CLOSED, KAE, Encoding, encode_by_words
from kae.bench.retriever.holdout import Holdout
from kae.bench.retriever.inputs import JudgedCatalog
from kae.bench.retriever.live_index import LiveIndex
from kae.bench.retriever.minilm import SentenceEncoder, Vectors
from kae.bench.retriever.peers import Rankings
from kae.bench.retriever.ranking_measures import DEEPEST
from kae.bench.retriever.trained import (
    TrainedEncoding,
    identify_by_codes,
    samples_of,
    train_encoding,
)
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.retriever.plan import TrainingPlan
from kae.encoders.retriever.query_identifier import QueryIdentifiers
from kae.encoders.retriever.samples import Identify
from kae.encoders.retriever.stage_samples import StageSamples
from kae.encoders.retriever.text import TextTokens
from kae.streams.cli import terminal


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
    training_seconds: float
    samples_per_second: float
    parameters: int
    nonce: NonceAnswers
    nonce_fair: NonceAnswers  # of closed codebooks; empty for kae
    # Protocol (b): the queries that say a removed word, before it is bound (or edited), and after.
    real_before: Rankings
    real_after: Rankings


class SeedBench:
    """What all models of a seed share: encodings, samples, the queries and words to ask."""

    def __init__(
        self,
        given: JudgedCatalog,
        held: Holdout,
        codebook: Codebook,
        plan: TrainingPlan,
        nonce: int,
        seed: int,
        work: Path,
    ) -> None:
        self.held, self.codebook, self.plan, self.seed = held, codebook, plan, seed
        self._work, self._routing = work, given.topology.retriever_part.routing
        self._ids = given.ids
        row_of = {item: row for row, item in enumerate(self._ids)}
        self._warm = {item.id: (row_of[item.id], item) for item in held.warm}
        self._texts: TextTokens | None = None
        self._encoder = SentenceEncoder()
        self.words = encode_by_words(codebook, given.items)
        positions = range(len(codebook.groups))
        self.nonce = nonce_words(self._sharing_a_word(), nonce, positions, seed)
        self.nonce_queries = {
            word.word: f"{word.word} {held.test[number % len(held.test)].text}"
            for number, word in enumerate(self.nonce)
        }
        self._real = [
            BoundWord(
                one.word,
                one.forms,
                codebook.position_of(one.category),
                BitMap(row_of[item] for item in one.items),
            )
            for one in held.words
        ]

    def encodings(self, vectors: Vectors) -> Iterator[tuple[Encoding, Identify]]:
        """Each encoding of all items, fitted to the warm ones, and how it encodes queries."""
        yield self.words, QueryIdentifiers(self.codebook).identify
        warm = vectors[[row for row, _ in self._warm.values()]]
        asked = (*self.held.train, *self.held.test)
        for name, fit in CLOSED.items():
            self._tell(f"fitting {name}")
            quantizer = fit(warm, self.words.capacities, self.seed)
            identify = identify_by_codes(
                self._encoder.vectors, quantizer.codes, [query.text for query in asked]
            )
            yield Encoding(name, quantizer.codes(vectors), self.words.capacities), identify

    def run(
        self, encoding: Encoding, identify: Identify, without: str = ""
    ) -> tuple[ModelRun, TrainedEncoding]:
        """Train a model, or one without a stage, and ask it everything."""
        plan = self.plan.without(without) if without else self.plan
        name = f"{encoding.name} without {without}" if without else encoding.name
        samples = samples_of(
            encoding,
            self._warm,
            self.held.train,
            identify,
            self.codebook,
            self._routing,
            self.seed,
        )
        texts = self._tokens(samples)
        self._tell(f"training {name}")
        began = time.perf_counter()
        out = self._work / f"{name}-{self.seed}".replace(" ", "-")
        trained = train_encoding(encoding, samples, plan, texts, identify, out, self.seed)
        took = time.perf_counter() - began
        self._tell(f"asking {name}, trained in {took:,.0f} s")
        return self._asked(trained, plan, took), trained

    def _asked(self, trained: TrainedEncoding, plan: TrainingPlan, took: float) -> ModelRun:
        test = [query.text for query in self.held.test]
        real = [query.text for query, _ in self.held.test_of_words]
        free = list(trained.ask(test, DEEPEST, masked=False))
        nonce, nonce_fair = self._asked_nonce(trained)
        index, identify = self._edited(self._real, trained)
        learned = sum(one.samples for one in plan.stages)
        return ModelRun(
            rankings=self._rankings(trained, test),
            free_rankings=[self._named(one.reached.rows) for one in free],
            live_share=sum(one.live for one in free) / sum(len(one.beams.scores) for one in free),
            training_seconds=took,
            samples_per_second=learned / took,
            parameters=trained.retriever.parameter_count,
            nonce=nonce,
            nonce_fair=nonce_fair,
            real_before=self._rankings(trained, real),
            real_after=self._rankings(trained, real, index, identify),
        )

    def _asked_nonce(self, trained: TrainedEncoding) -> tuple[NonceAnswers, NonceAnswers]:
        plain, fair = NonceAnswers(), NonceAnswers()
        reserved = [group.reserved for group in self.codebook.groups]
        for words in in_rounds(self.nonce, reserved):
            edited = self._edited(words, trained)
            alone = [word.word for word in words]
            in_queries = [self.nonce_queries[word.word] for word in words]
            closed = not trained.encoding.has_words
            if closed:
                plain.alone.extend(interventions.answer(words, alone, trained))
                plain.in_queries.extend(interventions.answer(words, in_queries, trained))
            into = fair if closed else plain
            into.alone.extend(interventions.answer(words, alone, trained, *edited))
            into.in_queries.extend(interventions.answer(words, in_queries, trained, *edited))
        return plain, fair

    def _edited(
        self, words: Sequence[BoundWord], trained: TrainedEncoding
    ) -> tuple[LiveIndex, Identify]:
        """Bind the words, or give a closed codebook the fair edit."""
        if trained.encoding.name == KAE:
            return interventions.bind(words, trained, self.codebook)
        return interventions.edit_fairly(words, trained), trained.identify

    def _rankings(
        self,
        trained: TrainedEncoding,
        texts: Sequence[str],
        index: LiveIndex | None = None,
        identify: Identify | None = None,
    ) -> Rankings:
        found = trained.ask(texts, DEEPEST, index=index, identify=identify)
        return [self._named(one.reached.rows) for one in found]

    def _tokens(self, samples: StageSamples) -> TextTokens:
        """Those of the first encoding's samples, kae's: the texts of all, and words besides."""
        if self._texts is None:
            self._texts = TextTokens.train(samples.texts(), self.plan.text_tokens)
        return self._texts

    def _named(self, rows: Sequence[int]) -> list[str]:
        return [self._ids[row] for row in rows]

    def _sharing_a_word(self) -> list[list[int]]:
        """Rows of the items that share a slot, for every slot of a word."""
        sharing: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for row, codes in enumerate(self.words.codes.tolist()):
            for position, index in enumerate(codes):
                if index:
                    sharing[position, index].append(row)
        return [sharing[slot] for slot in sorted(sharing)]

    def _tell(self, what: str) -> None:
        terminal.err.print(f"seed {self.seed}: {what}", highlight=False)
