"""From answers to figures, worked out by hand."""

from pyroaring import BitMap

from kae.bench.retriever.answers import ModelRun, NonceAnswers
from kae.bench.retriever.bound_words import Answered, BoundWord
from kae.bench.retriever.holdout import Holdout
from kae.bench.retriever.judged_queries import JudgedQuery
from kae.bench.retriever.summary import (
    clicked,
    cold_row,
    encoding_row,
    nonce_row,
    pair_share,
    real_row,
    to_best,
)
from kae.encoders.items import Item

DRILL = JudgedQuery("drill", {"a": 3.0, "b": 3.0})
SAW = JudgedQuery("saw", {"c": 3.0, "d": 2.5})
FOUND, BY_SLOT, MISSED = Answered(True, False), Answered(True, True), Answered(False, False)


def run(*rankings: list[str], free: tuple[list[str], ...] = ([], [])) -> ModelRun:
    return ModelRun(
        rankings=[*rankings],
        free_rankings=[*free],
        live_share=0.25,
        samples=400,
        samples_per_second=40.0,
        parameters=7,
        nonce=NonceAnswers(),
        nonce_other=NonceAnswers(),
        real_before=[["x"], ["d"]],
        real_after=[["a"], ["d", "c"]],
        real_other=[[], []],
    )


def test_a_row_is_the_mean_over_seeds() -> None:
    seeds = [run(["a", "b"], ["c"], free=(["a"], [])), run(["a"], [])]
    row = encoding_row(seeds, [DRILL, SAW])
    # Seed 1 finds three of four pairs, seed 2 one.
    assert row.hr350.value == row.hr10 == 0.5
    # Of the orders a, b and c: three, and one.
    assert row.order_hr350 == round((3 / 3 + 1 / 3) / 2, 4)
    assert row.mrr == round(((1 + 1) / 2 + (1 + 0) / 2) / 2, 4)
    assert row.free_hr350 == round((1 / 4 + 0) / 2, 4)
    assert (row.live_share, row.samples, row.samples_per_second, row.parameters) == (
        0.25,
        400,
        40.0,
        7,
    )


def test_cold_and_warm_pairs_are_counted_apart() -> None:
    held = Holdout(
        warm=(),
        cold=(Item("b", "B"), Item("d", "D")),
        train=(),
        test=(DRILL, SAW),
        words=(),
        test_of_words=(),
    )
    row = cold_row([run(["a", "b"], ["c"])], held)
    # Warm: a and c, both found. Cold: b found, d not.
    assert (row.warm.value, row.cold.value) == (1.0, 0.5)


def test_real_words_are_judged_before_and_after() -> None:
    row = real_row([run().real_before], [run().real_after], [DRILL, SAW])
    assert (row.before, row.after.value) == (1 / 4, 3 / 4)


def test_nonce_words_are_counted_by_how_they_are_asked_and_by_position() -> None:
    words = [BoundWord(str(n), (), position, BitMap()) for n, position in enumerate([0, 1, 1])]
    answers = NonceAnswers([BY_SLOT, FOUND, MISSED], [MISSED, FOUND, MISSED])
    row = nonce_row([answers], [words], bound=True)
    assert (row.ihr350_alone, row.ihr350_in_queries) == (round(2 / 3, 4), round(1 / 3, 4))
    assert row.ihr350.value == 0.5
    assert row.iar350 is not None
    assert row.iar350.value == round(1 / 6, 4)
    # Position 0: one of two answers; position 1: two of four.
    assert row.ihr350_by_position == (0.5, 0.5)
    assert nonce_row([answers], [words], bound=False).iar350 is None


def test_a_ratio_is_to_the_best_of_the_others() -> None:
    queries = [DRILL, SAW]
    ours = pair_share([[["a", "b"], ["c"]]], queries, clicked)
    half = pair_share([[["a"], ["c"]]], queries, clicked)
    nothing = pair_share([[[], []]], queries, clicked)
    ratio = to_best(ours, {"nothing": nothing, "half": half})
    assert ratio is not None
    assert ratio.value == 1.5
    assert to_best(ours, {"nothing": nothing}) is None
