"""One seed of `kae bench retriever`: every model is trained once, and asked everything."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pyroaring import BitMap

from kae.bench.retriever import interventions
from kae.bench.retriever.answers import ModelRun, NonceAnswers, StageRun
from kae.bench.retriever.bound_words import Answered, BoundWord, in_rounds, nonce_words
from kae.bench.retriever.encodings import KAE, Encoding, closed_quantizer, encode_by_words
from kae.bench.retriever.holdout import Holdout
from kae.bench.retriever.inputs import JudgedCatalog
from kae.bench.retriever.kept_vectors import kept_vectors
from kae.bench.retriever.live_index import LiveIndex
from kae.bench.retriever.ranking_measures import DEEPEST, Rankings
from kae.bench.retriever.trained import (
    TrainedEncoding,
    WarmItem,
    identify_by_codes,
    samples_of,
    train_encoding,
)
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.retriever.beams import Beams
from kae.encoders.retriever.network import Retriever
from kae.encoders.retriever.plan import TrainingPlan
from kae.encoders.retriever.query_identifier import QueryIdentifiers
from kae.encoders.retriever.samples import Identify, made_up_queries
from kae.encoders.retriever.sentences import SentenceEncoder
from kae.encoders.retriever.stage_samples import StageSamples
from kae.encoders.retriever.text import TextTokens
from kae.streams.cli import terminal
from kae.streams.retrieval.sample_job import product_type

# The name of the model that lacks none of them.
ALL_STAGES = "none"
# Nonce words that the models without a stage are asked.
NONCE_OF_STAGES = 400


@dataclass(frozen=True, slots=True)
class _OfWords:
    """What a model answered for words that nobody trained it on, as ModelRun has it."""

    nonce: NonceAnswers
    nonce_other: NonceAnswers
    before: Rankings
    after: Rankings
    other: Rankings


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
        self._queries = QueryIdentifiers(codebook)
        self._titles = [item.title for item in given.items]
        row_of = {item: row for row, item in enumerate(self._ids)}
        encoded = Encoder(codebook).encode_all(held.warm)
        self._warm = [
            WarmItem(row_of[item.id], item, product_type(one.attributes))
            for item, one in zip(held.warm, encoded, strict=True)
        ]
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

    def encoding(self, name: str) -> tuple[Encoding, Identify]:
        """The identifiers of all items, learned from the warm ones, and those of queries."""
        if name == KAE:
            return self.words, self._queries.identify
        vectors = kept_vectors(self._titles, self._work)
        warm = vectors[[one.row for one in self._warm]]
        quantizer = closed_quantizer(name, warm, self.words.capacities, self.seed)
        self._tell(f"fitted {name}")
        asked = self.asked_texts()
        identify = identify_by_codes(
            self._encoder.vectors, quantizer.codes, asked, kept_vectors(asked, self._work)
        )
        return Encoding(name, quantizer.codes(vectors), self.words.capacities), identify

    def asked_texts(self) -> list[str]:
        """Every query that is learned from or asked, once."""
        queries = (query.text for query in (*self.held.train, *self.held.test))
        made_up = (
            text
            for one in self._warm
            for text in made_up_queries(one.item.id, one.item.title, self._queries.weight_of)
        )
        return list(dict.fromkeys((*queries, *made_up)))

    def run(self, encoding: Encoding, identify: Identify) -> ModelRun:
        """Train a model and ask it everything."""
        trained, learned = self._train(encoding, identify, self.plan, encoding.name)
        test = [query.text for query in self.held.test]
        free = trained.decode(test, masked=False)
        live = [int(trained.index.is_live(one.identifiers).sum()) for one in free]
        ask = self._ask_words if encoding.name == KAE else self._ask_codes
        words = ask(trained)
        return ModelRun(
            rankings=self._rankings(trained, trained.decode(test)),
            free_rankings=self._rankings(trained, free),
            live_share=sum(live) / sum(len(one.scores) for one in free),
            samples=learned,
            samples_per_second=self._speed(encoding.name),
            parameters=trained.retriever.parameter_count,
            nonce=words.nonce,
            nonce_other=words.nonce_other,
            real_before=words.before,
            real_after=words.after,
            real_other=words.other,
        )

    def run_without(self, stage: str, encoding: Encoding, identify: Identify) -> StageRun:
        """Train a model without a stage, and ask it as much as shows what the stage is for."""
        plan, name = self.plan, encoding.name
        if stage != ALL_STAGES:
            plan, name = plan.without(stage), f"{name}-without-{stage}"
        trained, _ = self._train(encoding, identify, plan, name)
        rankings = self._rankings(trained, trained.decode([query.text for query in self.held.test]))
        return StageRun(
            rankings, self._ask_nonce(trained, self.nonce[:NONCE_OF_STAGES], served=False).all
        )

    def _train(
        self, encoding: Encoding, identify: Identify, plan: TrainingPlan, name: str
    ) -> tuple[TrainedEncoding, int]:
        """The model, and the number of samples that were drawn."""
        samples = samples_of(
            encoding,
            self._warm,
            self.held.train,
            identify,
            self._queries.weight_of,
            self.codebook,
            self._routing,
            self.seed,
        )
        texts = self._tokens(samples)
        self._tell(f"training {name}")
        speeds: list[float] = []
        trained = train_encoding(
            encoding,
            samples,
            plan,
            texts,
            identify,
            self._work / f"{name}-{self.seed}",
            self.seed,
            lambda told: speeds.append(told.samples_per_second),
        )
        if speeds:
            # Kept beside the model, for a run that goes on after it.
            self._speed_file(name).write_text(str(median(speeds)), encoding="ascii")
        self._tell(f"asking {name}")
        # A stage without samples, as S0 of a closed codebook, takes no steps.
        learned = sum(stage.samples for stage in plan.stages if any(map(samples.of, stage.mix)))
        return trained, learned

    def _speed_file(self, name: str) -> Path:
        return self._work / f"{name}-{self.seed}.samples-per-second"

    def _speed(self, name: str) -> float | None:
        file = self._speed_file(name)
        return float(file.read_text(encoding="ascii")) if file.exists() else None

    def trained(self, name: str) -> TrainedEncoding:
        """A model that has been trained before."""
        encoding, identify = self.encoding(name)
        folder = self._work / f"{name}-{self.seed}"
        return TrainedEncoding(encoding, Retriever.load(folder), identify)

    def _ask_words(self, trained: TrainedEncoding) -> _OfWords:
        """kae's encoding: words are bound, and queries have their slots."""
        real = [query.text for query, _ in self.held.test_of_words]
        bound = interventions.bind(self._real, trained, self.codebook)
        served = trained.serve(real, bound.index, bound.identify, bound.terms_of)
        alone = trained.decode(real, index=bound.index, identify=bound.identify)
        return _OfWords(
            self._ask_nonce(trained, self.nonce, served=True),
            self._ask_nonce(trained, self.nonce, served=False),
            self._rankings(trained, trained.decode(real)),
            self._rankings(trained, served, bound.index),
            self._rankings(trained, alone, bound.index),
        )

    def _ask_nonce(
        self, trained: TrainedEncoding, words: Sequence[BoundWord], *, served: bool
    ) -> NonceAnswers:
        """In rounds of as many words as there are reserved slots; answers by word, as given."""
        by_word: dict[str, tuple[Answered, Answered]] = {}
        reserved = [group.reserved for group in self.codebook.groups]
        for some in in_rounds(words, reserved):
            bound = interventions.bind(some, trained, self.codebook)
            alone, in_queries = (
                interventions.answers(some, trained.reached(found, DEEPEST, bound.index))
                for texts in self._nonce_texts(some)
                for found in [
                    trained.serve(texts, bound.index, bound.identify, bound.terms_of)
                    if served
                    else trained.decode(texts, index=bound.index, identify=bound.identify)
                ]
            )
            pairs = zip(alone, in_queries, strict=True)
            by_word |= {word.word: pair for word, pair in zip(some, pairs, strict=True)}
        answered = [by_word[word.word] for word in words]
        return NonceAnswers([one for one, _ in answered], [one for _, one in answered])

    def _ask_codes(self, trained: TrainedEncoding) -> _OfWords:
        """A closed codebook: as it is, and with the fair edit, which changes no beam."""
        alone, in_queries = map(trained.decode, self._nonce_texts(self.nonce))
        edited = interventions.edit_fairly(self.nonce, alone, trained)
        plain, fair = (
            NonceAnswers(
                *(
                    interventions.answers(self.nonce, trained.reached(found, DEEPEST, index))
                    for found in (alone, in_queries)
                )
            )
            for index in (trained.index, edited)
        )
        real = trained.decode([query.text for query, _ in self.held.test_of_words])
        of_words = trained.decode([word.word for word in self._real])
        edited = interventions.edit_fairly(self._real, of_words, trained)
        before = self._rankings(trained, real)
        return _OfWords(plain, fair, before, before, self._rankings(trained, real, edited))

    def _nonce_texts(self, words: Sequence[BoundWord]) -> tuple[list[str], list[str]]:
        return [word.word for word in words], [self.nonce_queries[word.word] for word in words]

    def _rankings(
        self, trained: TrainedEncoding, found: Sequence[Beams], index: LiveIndex | None = None
    ) -> Rankings:
        return [
            [self._ids[row] for row in one.rows] for one in trained.reached(found, DEEPEST, index)
        ]

    def _tokens(self, samples: StageSamples) -> TextTokens:
        """Those of the first encoding's samples, kae's: the texts of all, and words besides."""
        if self._texts is None:
            self._texts = TextTokens.train(samples.texts(), self.plan.text_tokens)
        return self._texts

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
