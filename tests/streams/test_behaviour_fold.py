"""The fold of the behaviours topic, worked out by hand."""

from collections.abc import Sequence
from itertools import permutations

import pytest

from kae.encoders.retriever.samples import Behaviour
from kae.streams.retrieval.behaviour_fold import (
    ERASED,
    REPEATED,
    TOMBSTONE,
    FoldedRequest,
    RequestEvent,
    TopicRecord,
    fold_request,
    with_histories,
)


def event(query: str) -> RequestEvent:
    return RequestEvent("r", "p", 0, Behaviour(query))


def record(
    offset: int, query: str = "", *, partition: int = 0, accepted_ms: int = 0, beyond: bool = False
) -> TopicRecord:
    """An event with a query, or a tombstone without one."""
    found = event(query) if query else None
    return TopicRecord(partition, offset, accepted_ms, "r", found, beyond)


@pytest.mark.parametrize(
    ("records", "counts", "passed_over"),
    [
        ([record(1, "a")], "a", ()),
        ([record(1, "a"), record(2, "b")], "b", (REPEATED,)),
        ([record(1, "a"), record(2)], None, (ERASED, TOMBSTONE)),
        ([record(1, "a"), record(2), record(3, "c")], "c", (REPEATED, TOMBSTONE)),
        ([record(2)], None, (TOMBSTONE,)),
        # It erases, and is not one of the records that were asked for.
        ([record(1, "a"), record(2, beyond=True)], None, (ERASED,)),
        # In the partition where it came last, whatever its offset there.
        (
            [record(9, "a", accepted_ms=5), record(1, "b", partition=1, accepted_ms=6)],
            "b",
            (REPEATED,),
        ),
        # A tombstone erases in its partition alone.
        ([record(1, "a"), record(2, partition=1)], "a", (TOMBSTONE,)),
    ],
)
def test_the_last_event_of_a_request_counts_in_any_order_of_reading(
    records: Sequence[TopicRecord], counts: str | None, passed_over: tuple[str, ...]
) -> None:
    folded = FoldedRequest(event(counts) if counts else None, passed_over)
    for order in permutations(records):
        assert fold_request(order) == folded


def asked(request: str, at_ms: int, *clicked: str, history: tuple[str, ...] = ()) -> RequestEvent:
    return RequestEvent(request, "p", at_ms, Behaviour("q", clicked=clicked, history=history))


def test_a_history_is_what_was_chosen_before_by_time_the_latest_first() -> None:
    # The third came late; the fourth chose what the first had chosen.
    events = [
        asked("r1", 10, "a"),
        asked("r2", 30, "c"),
        asked("r3", 20, "b"),
        asked("r4", 40, "a"),
        asked("r5", 50, "d", history=("z",)),
        asked("r6", 60),
    ]
    expected = {
        "r1": (),
        "r3": ("a",),
        "r2": ("b", "a"),
        "r4": ("c", "b", "a"),
        "r5": ("z",),
        "r6": ("d", "a", "c", "b"),
    }
    found = list(with_histories(events))
    assert {request: behaviour.history for request, behaviour in found} == expected
    assert [request for request, _ in found] == list(expected)
    assert list(with_histories(reversed(events))) == found


def test_a_history_has_an_end() -> None:
    events = [asked(f"r{n:03}", n, f"i{n}") for n in range(102)]
    *_, (_, last) = with_histories(events)
    assert last.history == tuple(f"i{n}" for n in range(100, 0, -1))
