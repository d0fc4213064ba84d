from hypothesis import given
from hypothesis import strategies as st

from kae.streams.worker.batching import BATCH_SECONDS, FEWEST_TITLES, MOST_TITLES, BatchSize


def test_without_a_tagger_a_batch_is_as_large_as_the_topology_says() -> None:
    batch_size = BatchSize(1024, reads_titles=False)
    batch_size.adapt(1024, 100)
    assert batch_size.limit == 1024


def test_slow_titles_shrink_the_batch_at_once_and_fast_ones_double_it() -> None:
    batch_size = BatchSize(1024, reads_titles=True)
    for _ in range(10):
        batch_size.adapt(batch_size.limit, 0.001)
    assert batch_size.limit == MOST_TITLES
    batch_size.adapt(256, 4 * BATCH_SECONDS)
    assert batch_size.limit == 64
    batch_size.adapt(64, 0.1)
    assert batch_size.limit == 128


@given(st.integers(1, 5000), st.lists(st.tuples(st.integers(0, 5000), st.floats(0, 1000))))
def test_a_batch_has_an_event_at_least_and_never_more_than_allowed(
    most: int, batches: list[tuple[int, float]]
) -> None:
    batch_size = BatchSize(most, reads_titles=True)
    for events, seconds in batches:
        batch_size.adapt(events, seconds)
        assert min(FEWEST_TITLES, most) <= batch_size.limit <= min(most, MOST_TITLES)
