"""What a seed of the bench consists of, in processes of its own, one thread each.

    kae           train and ask the model; then the same without each stage, if asked for
    rq-kmeans ..  train and ask the model of a closed codebook
    peers         train and ask what a team would use instead

A job's answers are kept beside its model, so that a run that was stopped goes on where it was.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import msgspec
import torch

from kae.bench.bm25_peer import Bm25Peer
from kae.bench.retriever.answers import ModelRun, NonceAnswers, PeerAnswers, StageRun
from kae.bench.retriever.bound_words import Answered, BoundWord
from kae.bench.retriever.encodings import KAE
from kae.bench.retriever.holdout import Holdout
from kae.bench.retriever.inputs import JudgedCatalog
from kae.bench.retriever.kept_vectors import kept_vectors
from kae.bench.retriever.peers import rankings_of_peers
from kae.bench.retriever.ranking_measures import DEEPEST
from kae.bench.retriever.seed_run import SeedBench
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.retriever.plan import TrainingPlan

Answers = TypeVar("Answers", ModelRun, StageRun, PeerAnswers)


@dataclass(frozen=True, slots=True)
class SeedJob:
    """All that the jobs of a seed need."""

    given: JudgedCatalog
    held: Holdout
    codebook: Codebook
    plan: TrainingPlan
    minutes: float
    nonce: int
    seed: int
    work: Path

    def bench(self) -> SeedBench:
        return SeedBench(
            self.given, self.held, self.codebook, self.plan, self.nonce, self.seed, self.work
        )

    def key(self) -> str:
        """A hash of what the answers depend on, but for the code."""
        hashed = blake2b(digest_size=16)
        for part in (
            self.codebook.fingerprint,
            self.plan,
            (self.minutes, self.nonce, self.seed, self.given.topology.retriever_part.routing),
            [(item.id, item.title, item.description) for item in self.given.items],
            [
                (query.text, sorted(query.ratings.items()))
                for query in (*self.held.train, *self.held.test)
            ],
            [(word.word, word.items) for word in self.held.words],
        ):
            hashed.update(msgspec.json.encode(part, enc_hook=repr))
        return hashed.hexdigest()


@contextmanager
def job_pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that know nothing of this one's threads, and compute on one thread each."""
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, context, torch.set_num_threads, (1,)) as pool:
        try:
            yield pool
        except BaseException:
            # What has not begun need not be waited for.
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def submit(
    pool: ProcessPoolExecutor, job: SeedJob, of: Callable[..., Answers], *named: str
) -> "Future[Answers]":
    return pool.submit(_kept, job, of, named)


def _kept(job: SeedJob, of: Callable[..., Answers], named: tuple[str, ...]) -> Answers:
    kind: type[Answers] = of.__annotations__["return"]
    name = "-".join((of.__name__.replace("_", "-"), *named, str(job.seed)))
    file = job.work / f"{name}.answers"
    key = job.key().encode()
    if file.exists() and (content := file.read_bytes()).startswith(key):
        return msgspec.msgpack.decode(content[len(key) :], type=kind)
    answers = of(job, *named)
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_bytes(key + msgspec.msgpack.encode(answers))
    unfinished.replace(file)
    return answers


def ask_model(job: SeedJob, name: str) -> ModelRun:
    """Train the model of an encoding, and ask it everything."""
    bench = job.bench()
    return bench.run(*bench.encoding(name))


def ask_without(job: SeedJob, stage: str) -> StageRun:
    """Train kae's model without a stage; "none" is the model that has all of them."""
    bench = job.bench()
    return bench.run_without(stage, *bench.encoding(KAE))


def ask_peers(job: SeedJob) -> PeerAnswers:
    """Train and ask the other searches."""
    bench, held = job.bench(), job.held
    test = [query.text for query in held.test]
    real = [query.text for query, _ in held.test_of_words]
    found = rankings_of_peers(
        job.given.items,
        held.warm,
        held.train,
        job.codebook,
        job.given.topology,
        [*test, *real],
        job.minutes,
        job.seed,
    )
    return PeerAnswers(
        {name: rankings[: len(test)] for name, rankings in found.items()},
        {name: rankings[len(test) :] for name, rankings in found.items()},
        bm25_given_words(job.given, bench.nonce, bench.nonce_queries),
    )


def bm25_given_words(
    given: JudgedCatalog, words: list[BoundWord], queries: Mapping[str, str]
) -> NonceAnswers:
    """BM25 over texts that the words were added to: what it finds, it finds by the word."""
    added: dict[int, list[str]] = {}
    for word in words:
        for row in word.rows:
            added.setdefault(row, []).append(word.word)
    items = given.items
    peer = Bm25Peer(
        [
            msgspec.structs.replace(
                item, description=" ".join([item.description, *added.get(row, ())])
            )
            for row, item in enumerate(items)
        ]
    )

    def asked(word: BoundWord, text: str) -> Answered:
        ids = {items[row].id for row in word.rows}
        found = bool(ids.intersection(peer.rank(text, DEEPEST)))
        return Answered(found, found)

    return NonceAnswers(
        [asked(word, word.word) for word in words],
        [asked(word, queries[word.word]) for word in words],
    )


def prepare_vectors(job: SeedJob) -> None:
    """Work out the vectors of titles and queries once, before jobs ask for them side by side."""
    kept_vectors([item.title for item in job.given.items], job.work)
    kept_vectors(job.bench().asked_texts(), job.work)
