"""The measures of `kae bench search`, against values worked out by hand."""

from math import log2

import pytest

from kae.bench.relevance import has_relevant, ndcg, recall, relevance

# Gains: a 7, b 3, c 1, d 0.
RATINGS = {"a": 3.0, "b": 2.0, "c": 1.0, "d": 0.0}


def test_the_ideal_order_has_an_ndcg_of_one() -> None:
    assert ndcg(["a", "b", "c", "d"], RATINGS, 10) == pytest.approx(1.0)


def test_gains_are_divided_by_the_logarithm_of_the_rank() -> None:
    # c, an unjudged item, a: 1/log2(2) + 0 + 7/log2(4) of 7/log2(2) + 3/log2(3) + 1/log2(4).
    expected = (1 + 7 / 2) / (7 + 3 / log2(3) + 1 / 2)
    assert ndcg(["c", "unjudged", "a"], RATINGS, 10) == pytest.approx(expected)
    assert expected == pytest.approx(0.4791, abs=5e-5)


def test_ndcg_looks_no_deeper_than_it_is_told() -> None:
    # The ideal is cut at the same depth: 7 + 3/log2(3).
    assert ndcg(["b", "d", "a"], RATINGS, 2) == pytest.approx(3 / (7 + 3 / log2(3)))


def test_the_ideal_is_over_judged_items_that_were_not_found_too() -> None:
    assert ndcg(["c"], {"c": 1.0, "elsewhere": 3.0}, 10) == pytest.approx(1 / (7 + 1 / log2(3)))


def test_recall_is_of_the_items_rated_above_zero() -> None:
    assert recall(["d", "a", "x", "c"], RATINGS, 350) == pytest.approx(2 / 3)
    assert recall(["d", "a", "x", "c"], RATINGS, 3) == pytest.approx(1 / 3)
    assert recall([], RATINGS, 350) == 0.0


def test_queries_without_a_relevant_item_are_left_out_of_the_means() -> None:
    judged = {"found": RATINGS, "missed": {"a": 1.0}, "nothing": {"a": 0.0}}
    assert [query for query in judged if has_relevant(judged[query])] == ["found", "missed"]
    measured = relevance({"found": ["a", "b", "c"], "missed": ["b"]}, judged)
    assert measured.ndcg == pytest.approx((1 + 0) / 2)
    assert measured.recall == pytest.approx((1 + 0) / 2)
