"""The measures of `kae bench retriever`, against values worked out by hand."""

from math import log2

import pytest

from kae.bench.retriever.judged_queries import JudgedQuery, hold_back, judged_queries
from kae.bench.retriever.ranking_measures import hits, measure_rankings, reciprocal_rank

# a is ordered, b clicked, c neither; d is not in the catalog.
DRILL = JudgedQuery("drill", {"a": 3.0, "b": 2.33, "c": 2.0, "d": 3.0})
SAW = JudgedQuery("saw", {"s": 2.67})


def test_a_click_is_a_rating_of_two_and_a_third_and_an_order_one_of_three() -> None:
    assert DRILL.clicked == {"a", "b", "d"}
    assert DRILL.ordered == {"a", "d"}
    assert SAW.ordered == frozenset()


def test_a_query_that_nothing_was_clicked_for_is_not_asked() -> None:
    judged = {"drill": DRILL.ratings, "dril": {"a": 2.0, "b": 1.0}}
    assert [query.text for query in judged_queries(judged)] == ["drill"]


def test_hits_are_counted_to_a_depth() -> None:
    ranking = ["x", "a", "y", "b"]
    assert [hits(ranking, DRILL.clicked, depth) for depth in (1, 2, 3, 4, 9)] == [0, 1, 1, 2, 2]


def test_the_reciprocal_rank_is_of_the_first_wanted_item() -> None:
    assert reciprocal_rank(["x", "b", "a"], DRILL.clicked) == 1 / 2
    assert reciprocal_rank(["x", "y", "a"], DRILL.clicked, depth=2) == 0.0
    assert reciprocal_rank([], DRILL.clicked) == 0.0


def test_a_hit_rate_is_of_pairs_and_recall_a_mean_over_queries() -> None:
    # Eleven others stand before b: it is beyond rank 10, within rank 100.
    drill = ["a", *(f"x{number}" for number in range(11)), "b"]
    measured = measure_rankings([drill, ["y", "s"]], [DRILL, SAW])
    # Pairs: a, b, d and s; at 10 a and s are found, at 100 b too.
    assert measured.hit_rate(10) == 2 / 4
    assert measured.hit_rate(100) == measured.hit_rate(350) == 3 / 4
    assert measured.recall(10) == pytest.approx((1 / 3 + 1) / 2)
    assert measured.recall(100) == pytest.approx((2 / 3 + 1) / 2)
    # Orders: a and d.
    assert measured.order_hit_rate(350) == 1 / 2
    assert measured.mrr == (1 + 1 / 2) / 2


def test_ndcg_has_every_rating() -> None:
    measured = measure_rankings([["c", "a"], ["s"]], [DRILL, SAW])
    gained = (2**2 - 1) + 7 / log2(3)
    ideal = 7 + 7 / log2(3) + (2**2.33 - 1) / 2 + 3 / log2(5)
    assert measured.mean_ndcg == pytest.approx((gained / ideal + 1) / 2)


def test_held_back_queries_are_a_fifth_and_always_the_same() -> None:
    judged = {f"query {number}": {"a": 3.0} for number in range(1000)}
    train, held = hold_back(judged)
    assert train.keys() | held.keys() == judged.keys()
    assert not train.keys() & held.keys()
    # Binomial: a standard deviation is 12.6.
    assert 150 < len(held) < 250
    assert hold_back(dict(reversed(judged.items())))[1].keys() == held.keys()
