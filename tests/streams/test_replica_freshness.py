"""Freshness: a view was complete when the brokers were asked, not when they answer late."""

from kae.streams.replica.freshness import FreshnessGauge


def test_a_view_is_as_old_as_the_question_it_answers() -> None:
    gauge = FreshnessGauge(within_seconds=5)
    gauge.set_ends(100.0, {"a": 7, "b": 2})
    gauge.update({"a": 6, "b": 2})
    assert gauge.reading(100.0).age_seconds is None
    assert gauge.reading(100.0).reasons[1:] == ["a: 1 records behind"]
    gauge.update({"a": 9, "b": 2})
    reading = gauge.reading(103.0)
    assert (reading.ready, reading.age_seconds, reading.reasons) == (True, 3.0, [])


def test_a_silent_broker_makes_a_replica_stale() -> None:
    gauge = FreshnessGauge(within_seconds=5)
    gauge.set_ends(100.0, {"a": 1})
    gauge.update({"a": 1})
    for _ in range(3):
        gauge.update({"a": 1})
    assert gauge.reading(104.9).ready
    assert not gauge.reading(105.1).ready


def test_falling_behind_counts_once_the_bound_is_over() -> None:
    gauge = FreshnessGauge(within_seconds=5)
    gauge.set_ends(100.0, {"a": 1})
    gauge.update({"a": 1})
    gauge.set_ends(102.0, {"a": 50})
    gauge.update({"a": 1})
    assert gauge.reading(103.0).ready
    assert gauge.reading(103.0).behind_records == 49
    late = gauge.reading(106.0)
    assert not late.ready
    assert late.reasons == [
        "the view was complete 6.0 s ago; replica.fresh_within_seconds is 5",
        "a: 49 records behind",
    ]
