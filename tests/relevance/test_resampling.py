"""Intervals by bootstrap, where the answer is known."""

import numpy as np
import pytest

from kae.bench.retriever.resampling import Share, ratio_interval, share_interval


def test_a_share_is_the_mean_over_seeds_of_hits_by_pairs() -> None:
    share = Share(np.array([[1.0, 2.0], [0.0, 3.0]]), np.array([1.0, 4.0]))
    # Seed 1 hits 3 of 5, seed 2 as well.
    assert share.value == pytest.approx(3 / 5)


def test_where_all_queries_are_alike_an_interval_is_a_point() -> None:
    share = Share(np.full((3, 50), 2.0), np.full(50, 4.0))
    interval = share_interval(share, seed=1)
    assert (interval.value, interval.low, interval.high) == (0.5, 0.5, 0.5)


def test_an_interval_is_as_wide_as_that_of_a_coin() -> None:
    hits = np.array([[0.0, 1.0] * 200])
    interval = share_interval(Share(hits, np.ones(400)), seed=7)
    # 400 throws of a coin: a standard deviation is sqrt(1/4 / 400) = 0.025.
    assert interval.value == 0.5
    assert interval.low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.006)
    assert interval.high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.006)


def test_seeds_are_drawn_again_too() -> None:
    # Seeds differ, queries do not: of two draws out of two seeds, one in four has the worse twice.
    hits = np.array([np.zeros(100), np.ones(100)])
    interval = share_interval(Share(hits, np.ones(100)), seed=3)
    assert (interval.value, interval.low, interval.high) == (0.5, 0.0, 1.0)


def test_a_ratio_is_of_the_same_queries() -> None:
    # Ours finds twice as much for each query, however hard it is: no draw says anything else.
    theirs = np.array([[1.0, 2.0, 3.0, 0.0] * 10])
    of = np.full(40, 6.0)
    interval = ratio_interval(Share(2 * theirs, of), Share(theirs, of), seed=5)
    assert interval is not None
    assert (interval.value, interval.low, interval.high) == (2.0, 2.0, 2.0)


def test_there_is_no_ratio_to_nothing() -> None:
    of = np.ones(10)
    assert ratio_interval(Share(np.ones((1, 10)), of), Share(np.zeros((1, 10)), of), 1) is None


def test_a_draw_that_has_nothing_to_divide_by_makes_the_upper_bound_infinite() -> None:
    # One query of four has their only hit. Drawn k times, the ratio is 4/k; k is binomial: none in
    # 32% of the draws, three or more in 5.1%, four in 0.4%.
    ours, theirs = np.ones((1, 4)), np.array([[1.0, 0.0, 0.0, 0.0]])
    interval = ratio_interval(Share(ours, np.ones(4)), Share(theirs, np.ones(4)), seed=2)
    assert interval is not None
    assert interval.value == 4.0
    assert interval.high == float("inf")
    assert interval.low == pytest.approx(4 / 3, abs=1e-4)
