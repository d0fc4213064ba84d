"""The control topic's fold: requests, answers, owners."""

import msgspec
import pytest

from kae.sinks.log.edits import Delta, SourceRange, decode_record
from kae.streams.control import records
from kae.streams.control.records import (
    Pause,
    Reached,
    Refold,
    RequestAnswer,
    Reset,
    Resume,
    Snapshot,
    Snapshotted,
)
from kae.streams.control.state import ControlState

PAUSE = Pause(1, 3, "ann@host", "disk", 1000)
RESUME = Resume(1, 3, "ben@host", "", 2000)


def answer(request: int, refused: str = "", shard: int = 3) -> RequestAnswer:
    return RequestAnswer(1, shard, request, refused, "w1", 7, 3000)


def state_of(*entered: records.ControlRecord) -> ControlState:
    """The records at the offsets 0, 1, 2 ..."""
    state = ControlState(1)
    for offset, record in enumerate(entered):
        state.apply(offset, records.decode_control_record(records.encode_control_record(record)))
    return state


def test_requests_are_open_until_they_are_answered_in_the_order_of_their_offsets() -> None:
    state = state_of(PAUSE, Reset(1, 3, "ann", "", 0, 5), Refold(1, 4, "ann", "", 0), answer(0))
    assert [request.offset for request in state.open_for({3, 4})] == [1, 2]
    assert [request.offset for request in state.open_for({4})] == [2]
    assert state.newest[3].answer is None


def test_a_pause_is_in_force_from_its_answer_until_that_of_a_resume() -> None:
    assert state_of(PAUSE).pauses == {}
    assert state_of(PAUSE, answer(0)).pauses == {3: PAUSE}
    assert state_of(PAUSE, answer(0), RESUME).pauses == {3: PAUSE}
    assert state_of(PAUSE, answer(0), RESUME, answer(2)).pauses == {}
    assert state_of(PAUSE, answer(0, refused="no")).pauses == {}


def test_the_first_answer_counts_and_one_to_no_request_is_nothing() -> None:
    state = state_of(PAUSE, answer(0), answer(0, refused="too late"), answer(99))
    assert state.newest[3].answer == answer(0)
    assert state.open_requests == {}


def test_what_another_generation_says_is_passed_over() -> None:
    other: list[records.ControlRecord] = [
        Pause(2, 3, "ann", "", 0),
        Reached(2, 3, 9, 1, "w1"),
        RequestAnswer(2, 3, 0, "", "w1", 1, 0),
    ]
    state = state_of(*other)
    assert (state.open_requests, state.owners, state.bindings_reached, state.newest) == (
        {},
        {},
        {},
        {},
    )


def test_the_owner_is_who_said_so_under_the_highest_epoch() -> None:
    state = state_of(Reached(1, 3, 5, 2, "w2"), Reached(1, 3, 4, 1, "w1"))
    assert state.owners[3].owner == "w2"
    assert state.bindings_reached == {3: 5}


def test_what_a_shard_has_of_planned_terms_is_told_by_the_record_that_is_furthest() -> None:
    first, second = (
        Reached(1, 3, 5, 1, "w1", ((7, 20),)),
        Reached(1, 3, 6, 1, "w1", ((7, 21), (8, 0))),
    )
    assert state_of(first, second).attached == {3: {7: 21, 8: 0}}
    assert state_of(second, first).attached == {3: {7: 21, 8: 0}}


def test_a_record_without_an_owner_from_before_there_were_any_is_read() -> None:
    record = records.decode_control_record(msgspec.msgpack.encode([1, 1, 3, 5]))
    assert record == Reached(1, 3, 5)
    assert state_of(record).bindings_reached == {3: 5}
    assert state_of(record).owners == {}


@pytest.mark.parametrize(
    "payload", [None, b"", b"\xc1", b"text", msgspec.msgpack.encode([99, 1]), b"\x92\x02\x01"]
)
def test_bytes_that_are_no_record_are_told_apart(payload: bytes | None) -> None:
    with pytest.raises(msgspec.DecodeError):
        records.decode_control_record(payload)


def test_a_delta_from_before_there_were_requests_is_of_a_shard_that_goes_on() -> None:
    former = bytes.fromhex(
        "9a010101c4100000000000000000000000000000000000010092010095010001"
        "0000919502a161ff07c4080000000000000000"
    )
    delta = decode_record(former)
    assert isinstance(delta, Delta)
    assert delta.source == SourceRange(next_offset=1, next_control=0, paused=False)


def test_the_newest_snapshot_that_came_about_is_known_and_a_request_for_one_is_a_request() -> None:
    asked = Snapshot(1, 3, "ann@host", "before a move", 1000)
    taken = Snapshotted(1, 3, 7, 9, "7.json", 100, 10, "", "w1", 2000)
    failed = msgspec.structs.replace(taken, version=8, failed="no room")
    state = state_of(asked, answer(0), taken, failed)
    assert state.newest[3].request == asked
    assert state.snapshots == {3: taken}
