from hypothesis import given
from hypothesis import strategies as st

from kae.streams.worker.batching import BATCH_SECONDS, FEWEST, MOST_READ, BatchSize


def test_without_a_tagger_a_batch_is_as_large_as_the_topology_says() -> None:
    pace = BatchSize(1024, reads_titles=False)
    pace.took(1024, 100)
    assert pace.limit == 1024


def test_slow_titles_shrink_the_batch_at_once_and_fast_ones_double_it() -> None:
    pace = BatchSize(1024, reads_titles=True)
    for _ in range(10):
        pace.took(pace.limit, 0.001)
    assert pace.limit == MOST_READ
    pace.took(256, 4 * BATCH_SECONDS)
    assert pace.limit == 64
    pace.took(64, 0.1)
    assert pace.limit == 128


@given(st.integers(1, 5000), st.lists(st.tuples(st.integers(0, 5000), st.floats(0, 1000))))
def test_a_batch_has_an_event_at_least_and_never_more_than_allowed(
    most: int, told: list[tuple[int, float]]
) -> None:
    pace = BatchSize(most, reads_titles=True)
    for events, seconds in told:
        pace.took(events, seconds)
        assert min(FEWEST, most) <= pace.limit <= min(most, MOST_READ)
