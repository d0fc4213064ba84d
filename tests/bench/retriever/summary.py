"""From the answers of all seeds to the report."""

from collections.abc import Callable, Collection, Mapping, Sequence
from statistics import fmean

import numpy as np

from kae.bench.retriever.answers import ModelRun, NonceAnswers, StageRun
from kae.bench.retriever.bound_words import Answered, BoundWord
from kae.bench.retriever.holdout import Holdout
from kae.bench.retriever.judged_queries import JudgedQuery
from kae.bench.retriever.ranking_measures import DEEPEST, Rankings, hits, measure_rankings
from kae.bench.retriever.report import ColdRow, EncodingRow, NonceRow, Ranked, RealRow, StageRow
from kae.bench.retriever.resampling import Interval, Share, ratio_interval, share_interval

# Of the bootstrap, whose draws have nothing to do with the seeds of models.
SEED = 1
Wanted = Callable[[JudgedQuery], Collection[str]]


def pair_share(seeds: Sequence[Rankings], queries: Sequence[JudgedQuery], wanted: Wanted) -> Share:
    """HR@350 of the wanted items of each query."""
    sets = [wanted(query) for query in queries]
    return Share.of_seeds(
        [
            np.array([float(hits(r, w, DEEPEST)) for r, w in zip(rankings, sets, strict=True)])
            for rankings in seeds
        ],
        np.array([float(len(one)) for one in sets]),
    )


def clicked(query: JudgedQuery) -> Collection[str]:
    return query.clicked


def ranked(seeds: Sequence[Rankings], queries: Sequence[JudgedQuery]) -> Ranked:
    measured = [measure_rankings(rankings, queries) for rankings in seeds]

    def mean(values: Sequence[float]) -> float:
        return round(fmean(values), 4)

    return Ranked(
        hr10=mean([one.hit_rate(10) for one in measured]),
        hr100=mean([one.hit_rate(100) for one in measured]),
        hr350=share_interval(pair_share(seeds, queries, clicked), SEED),
        order_hr350=mean([one.order_hit_rate(350) for one in measured]),
        recall350=mean([one.recall(350) for one in measured]),
        mrr=mean([one.mrr for one in measured]),
        ndcg10=mean([one.mean_ndcg for one in measured]),
    )


def encoding_row(runs: Sequence[ModelRun], queries: Sequence[JudgedQuery]) -> EncodingRow:
    found = ranked([run.rankings for run in runs], queries)
    speeds = [run.samples_per_second for run in runs if run.samples_per_second is not None]
    free = pair_share([run.free_rankings for run in runs], queries, clicked)
    return EncodingRow(
        hr10=found.hr10,
        hr100=found.hr100,
        hr350=found.hr350,
        order_hr350=found.order_hr350,
        recall350=found.recall350,
        mrr=found.mrr,
        ndcg10=found.ndcg10,
        free_hr350=round(free.value, 4),
        live_share=round(fmean(run.live_share for run in runs), 4),
        samples=runs[0].samples,
        samples_per_second=round(fmean(speeds), 1) if speeds else None,
        parameters=runs[0].parameters,
    )


def word_share(seeds: Sequence[Sequence[Answered]], *, by_slot: bool) -> Share:
    """IHR@350, or IAR@350, of words: each is a query with one thing to find."""
    return Share.of_seeds(
        [
            np.array([float(one.by_slot if by_slot else one.found) for one in answers])
            for answers in seeds
        ],
        np.ones(len(seeds[0])),
    )


def nonce_row(
    seeds: Sequence[NonceAnswers], words: Sequence[Sequence[BoundWord]], *, bound: bool
) -> NonceRow:
    """`words` are those of each seed, in the order of the answers."""
    answers = [one.all for one in seeds]
    positions = [[word.position for word in of_seed] for of_seed in words]
    by_position = [
        fmean(
            one.found
            for given, of_seed in zip(seeds, positions, strict=True)
            for half in (given.alone, given.in_queries)
            for one, own in zip(half, of_seed, strict=True)
            if own == position
        )
        for position in sorted(set(positions[0]))
    ]
    return NonceRow(
        ihr350_alone=round(word_share([s.alone for s in seeds], by_slot=False).value, 4),
        ihr350_in_queries=round(word_share([s.in_queries for s in seeds], by_slot=False).value, 4),
        ihr350=share_interval(word_share(answers, by_slot=False), SEED),
        iar350=share_interval(word_share(answers, by_slot=True), SEED) if bound else None,
        ihr350_by_position=tuple(round(share, 4) for share in by_position),
    )


def real_row(
    before: Sequence[Rankings], after: Sequence[Rankings], queries: Sequence[JudgedQuery]
) -> RealRow:
    return RealRow(
        round(pair_share(before, queries, clicked).value, 4),
        share_interval(pair_share(after, queries, clicked), SEED),
    )


def cold_shares(runs: Sequence[ModelRun], held: Holdout) -> tuple[Share, Share]:
    """HR@350 of warm and of cold pairs."""
    cold = held.cold_ids
    rankings = [run.rankings for run in runs]
    return (
        pair_share(rankings, held.test, lambda query: query.clicked - cold),
        pair_share(rankings, held.test, lambda query: query.clicked & cold),
    )


def cold_row(runs: Sequence[ModelRun], held: Holdout) -> ColdRow:
    warm, cold = cold_shares(runs, held)
    return ColdRow(share_interval(warm, SEED), share_interval(cold, SEED))


def stage_row(run: StageRun, queries: Sequence[JudgedQuery]) -> StageRow:
    return StageRow(
        round(pair_share([run.rankings], queries, clicked).value, 4),
        round(word_share([run.nonce], by_slot=False).value, 4),
    )


def to_best(ours: Share, others: Mapping[str, Share]) -> Interval | None:
    """Ours divided by the highest of the others, which is the one with the highest value."""
    best = max(others.values(), key=lambda share: share.value)
    return ratio_interval(ours, best, SEED)
