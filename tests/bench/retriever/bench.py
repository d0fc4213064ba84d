"""`kae bench retriever`: trains what is compared, asks it, and sums it up."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec
import torch

from kae.bench.retriever import summary
from kae.bench.retriever.answers import SeedAnswers
from kae.bench.retriever.cost import peak_memory_mb, query_costs
from kae.bench.retriever.encodings import CLOSED, KAE
from kae.bench.retriever.holdout import Holdout, codebook_without, hold_out
from kae.bench.retriever.inputs import JudgedCatalog
from kae.bench.retriever.jobs import (
    SeedJob,
    ask_model,
    ask_peers,
    ask_without,
    job_pool,
    prepare_vectors,
    submit,
)
from kae.bench.retriever.peers import BM25, WORDS
from kae.bench.retriever.ranking_measures import DEEPEST
from kae.bench.retriever.report import RetrieverReport
from kae.bench.retriever.resampling import Interval, Share, share_interval
from kae.bench.retriever.seed_run import ALL_STAGES
from kae.bench.retriever.summary import clicked, pair_share, word_share
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.retriever.fusion import fuse_rankings
from kae.encoders.retriever.plan import TrainingPlan
from kae.encoders.retriever.samples import STAGES
from kae.streams.cli import terminal
from kae.streams.topology.types import Topology

BOTH = "both"
# kae's model by itself, without what its search does for the terms of a query.
BEAMS_ALONE = "kae, beams alone"
# Samples a minute of the preset `small` on one thread, so that minutes are a plan, not a clock.
SAMPLES_A_MINUTE = 20_000


class BenchSize(msgspec.Struct, frozen=True):
    """How much is trained and asked."""

    seeds: int
    minutes: float  # of training, for each model
    nonce_words: int
    removed_words: int
    stages: bool  # whether stages are left out one by one

    def plan_of(self, topology: Topology) -> TrainingPlan:
        """The topology's plan, of so many samples that training takes the minutes."""
        plan = topology.retriever_part.plan
        whole = sum(stage.samples for stage in plan.stages)
        return plan.scaled(self.minutes * SAMPLES_A_MINUTE / whole)


@contextmanager
def kept_in(work: Path | None) -> Iterator[Path]:
    """The folder, or one that is thrown away if none is given."""
    if work is not None:
        yield work
        return
    with tempfile.TemporaryDirectory(prefix="kae-bench-") as folder:
        yield Path(folder)


def measure_retriever(
    given: JudgedCatalog, size: BenchSize, first_seed: int, work: Path, processes: int
) -> RetrieverReport:
    """Train and ask every model; `work` keeps them, and a run that was stopped goes on there."""
    began = time.perf_counter()
    torch.set_num_threads(1)  # sums are added in one order, so the figures come again
    work.mkdir(parents=True, exist_ok=True)
    held = hold_out(given, size.removed_words)
    codebook = codebook_without(given, held, first_seed)
    terminal.err.print(
        f"{len(held.test):,} queries, {len(held.test_of_words):,} that say one of "
        f"{len(held.words):,} removed words; {processes} processes",
        highlight=False,
    )
    plan = size.plan_of(given.topology)
    jobs = [
        SeedJob(given, held, codebook, plan, size.minutes, size.nonce_words, seed, work)
        for seed in range(first_seed, first_seed + size.seeds)
    ]
    with job_pool(processes) as pool:
        answers = _answers(pool, jobs, stages=size.stages)
    costs = query_costs(jobs[0].bench().trained(KAE), [query.text for query in held.test])
    report = _report(given, held, codebook, size, tuple(job.seed for job in jobs), answers)
    return msgspec.structs.replace(
        report,
        query_p50_ms=costs[0].p50_ms,
        costs=costs,
        peak_memory_mb=peak_memory_mb(),
        took_seconds=round(time.perf_counter() - began, 1),
    )


def _answers(
    pool: ProcessPoolExecutor, jobs: Sequence[SeedJob], *, stages: bool
) -> list[SeedAnswers]:
    """What each seed answers; the first one also without each stage."""
    # kae's models need no vectors, which are worked out in the meantime.
    of_kae = [submit(pool, job, ask_model, KAE) for job in jobs]
    prepare_vectors(jobs[0])
    closed = [{name: submit(pool, job, ask_model, name) for name in CLOSED} for job in jobs]
    peers = [submit(pool, job, ask_peers) for job in jobs]
    stage_runs = {
        stage: submit(pool, jobs[0], ask_without, stage) for stage in (STAGES if stages else ())
    }
    of_kae[0].result()
    if stages:
        # The model that is there by now, asked as the others are.
        stage_runs[ALL_STAGES] = submit(pool, jobs[0], ask_without, ALL_STAGES)
    answers: list[SeedAnswers] = []
    for job, kae, others, peer in zip(jobs, of_kae, closed, peers, strict=True):
        models = {KAE: kae.result(), **{name: one.result() for name, one in others.items()}}
        found = peer.result()
        words = found.rankings[WORDS]
        both = [
            fuse_rankings(ours, own, DEEPEST)
            for ours, own in zip(models[KAE].rankings, words, strict=True)
        ]
        found.rankings[BOTH] = both
        runs = {} if answers else {stage: run.result() for stage, run in stage_runs.items()}
        answers.append(SeedAnswers(models, found, job.bench().nonce, runs))
    return answers


def _report(
    given: JudgedCatalog,
    held: Holdout,
    codebook: Codebook,
    size: BenchSize,
    seeds: tuple[int, ...],
    answers: Sequence[SeedAnswers],
) -> RetrieverReport:
    runs = {name: [one.models[name] for one in answers] for name in answers[0].models}
    closed = [name for name in runs if name != KAE]
    peers = {
        name: [one.peers.rankings[name] for one in answers] for name in answers[0].peers.rankings
    }
    words = [one.nonce_words for one in answers]
    real = [query for query, _ in held.test_of_words]

    test_shares = {
        name: pair_share([run.rankings for run in of_name], held.test, clicked)
        for name, of_name in runs.items()
    }
    served = pair_share([run.real_after for run in runs[KAE]], real, clicked)
    real_shares = {
        name: pair_share([run.real_other for run in of_name], real, clicked)
        for name, of_name in runs.items()
    }
    peer_shares = {name: pair_share(found, held.test, clicked) for name, found in peers.items()}
    plain = {
        name: word_share([run.nonce.all for run in of_name], by_slot=False)
        for name, of_name in runs.items()
    }
    fair = {
        name: word_share([run.nonce_other.all for run in runs[name]], by_slot=False)
        for name in closed
    }
    by_slot = word_share([run.nonce.all for run in runs[KAE]], by_slot=True)
    bm25 = word_share([one.peers.nonce_bm25.all for one in answers], by_slot=True)
    warm, cold = summary.cold_shares(runs[KAE], held)

    def of_closed(shares: Mapping[str, Share]) -> dict[str, Share]:
        return {name: shares[name] for name in closed}

    hr = summary.to_best(test_shares[KAE], of_closed(test_shares))
    ihr = summary.to_best(plain[KAE], of_closed(plain))
    beams = word_share([run.nonce_other.all for run in runs[KAE]], by_slot=False)
    ihr_beams = summary.to_best(beams, of_closed(plain))
    # An edit may cost a closed codebook more than it brings: what it found before counts, too.
    real_rivals = of_closed(real_shares) | {
        f"{name}, unedited": pair_share([run.real_before for run in runs[name]], real, clicked)
        for name in closed
    }
    removed = summary.to_best(served, real_rivals) if real else None
    removed_beams = summary.to_best(real_shares[KAE], real_rivals) if real else None
    rivals = {name: share for name, share in peer_shares.items() if name != BOTH}
    both = summary.to_best(peer_shares[BOTH], rivals)
    return RetrieverReport(
        hr350_ratio_to_best_closed=_value(hr),
        hr350_ratio_lower=_low(hr),
        ihr350_ratio_to_best_closed=_value(ihr),
        ihr350_ratio_lower=_low(ihr),
        ihr350_ratio_beams_alone=_value(ihr_beams),
        ihr350_ratio_to_fair_edit=_value(summary.to_best(plain[KAE], fair)),
        real_words_ratio_to_fair_edit=_value(removed),
        real_words_ratio_lower=_low(removed),
        real_words_ratio_beams_alone=_value(removed_beams),
        iar350_ratio_to_bm25=_value(summary.to_best(by_slot, {BM25: bm25})),
        cold_ratio_to_warm=_value(summary.to_best(cold, {"warm": warm})),
        both_ratio_to_best_peer=_value(both),
        both_ratio_lower=_low(both),
        query_p50_ms=0.0,
        encodings={name: summary.encoding_row(of, held.test) for name, of in runs.items()},
        peers={name: summary.ranked(found, held.test) for name, found in peers.items()},
        stages={name: summary.stage_row(run, held.test) for name, run in answers[0].stages.items()},
        nonce={
            **{
                name: summary.nonce_row([run.nonce for run in of], words, bound=name == KAE)
                for name, of in runs.items()
            },
            BEAMS_ALONE: summary.nonce_row(
                [run.nonce_other for run in runs[KAE]], words, bound=True
            ),
            BM25: summary.nonce_row([one.peers.nonce_bm25 for one in answers], words, bound=True),
        },
        nonce_fair={
            name: summary.nonce_row([run.nonce_other for run in runs[name]], words, bound=False)
            for name in closed
        },
        real={
            name: summary.real_row([run.real_before for run in of], after, real)
            for name, of, after in (
                (KAE, runs[KAE], [run.real_after for run in runs[KAE]]),
                (BEAMS_ALONE, runs[KAE], [run.real_other for run in runs[KAE]]),
                *((name, runs[name], [run.real_other for run in runs[name]]) for name in closed),
            )
        }
        if real
        else {},
        real_peers={
            name: share_interval(
                pair_share([one.peers.real[name] for one in answers], real, clicked), summary.SEED
            )
            for name in answers[0].peers.real
        }
        if real
        else {},
        cold={name: summary.cold_row(of, held) for name, of in runs.items()},
        costs=(),
        peak_memory_mb=0.0,
        items=len(given.items),
        cold_items=len(held.cold),
        train_queries=len(held.train),
        queries=len(held.test),
        queries_of_removed_words=len(real),
        removed_words=len(held.words),
        nonce_words=size.nonce_words,
        minutes=size.minutes,
        seeds=seeds,
        codebook=codebook.fingerprint,
        took_seconds=0.0,
    )


def _value(interval: Interval | None) -> float | None:
    return None if interval is None else interval.value


def _low(interval: Interval | None) -> float | None:
    return None if interval is None else interval.low
