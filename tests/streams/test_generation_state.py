"""The fold of what the control topic says of generations."""

from kae.streams.control import records
from kae.streams.control.records import Announced, Cutover, Dropped
from kae.streams.control.state import ControlState, GenerationState


def announced(generation: int, fingerprint: str = "", topology: bytes = b"{}") -> Announced:
    return Announced(generation, fingerprint or f"codebook-{generation}", topology, "ann", 0)


def cutover(generation: int, previous: int) -> Cutover:
    return Cutover(generation, previous, (3, 4), 1, "ann", "", 0)


def dropped(generation: int) -> Dropped:
    return Dropped(generation, "ann", "", 0)


def state_of(*entered: records.ControlRecord, own: int = 1) -> GenerationState:
    """The records at the offsets 0, 1, 2 ..."""
    state = GenerationState(own)
    for offset, record in enumerate(entered):
        state.apply(offset, records.decode_control_record(records.encode_control_record(record)))
    return state


BOTH = (announced(1), announced(2))


def test_a_topology_alone_is_followed_and_serves() -> None:
    state = state_of(own=3)
    assert (state.serving, state.followed) == (3, (3,))


def test_what_is_announced_is_followed_and_does_not_serve_before_a_cut_over() -> None:
    for own in (1, 2):
        state = state_of(*BOTH, own=own)
        assert (state.serving, state.followed) == (1, (1, 2))


def test_cut_overs_lead_to_and_fro() -> None:
    assert state_of(*BOTH, cutover(2, 1)).serving == 2
    assert state_of(*BOTH, cutover(2, 1), cutover(1, 2)).serving == 1


def test_of_two_cut_overs_from_one_generation_the_first_counts() -> None:
    state = state_of(*BOTH, announced(3), cutover(2, 1), cutover(3, 1))
    assert state.serving == 2
    assert state.cutover is not None
    assert state.cutover.offset == 3


def test_nothing_is_cut_over_to_what_is_unknown_or_dropped() -> None:
    assert state_of(announced(1), cutover(2, 1)).serving == 1
    assert state_of(*BOTH, dropped(2), cutover(2, 1)).serving == 1


def test_what_serves_is_not_dropped_and_a_number_is_never_used_again() -> None:
    assert state_of(*BOTH, cutover(2, 1), dropped(2)).followed == (1, 2)
    state = state_of(*BOTH, cutover(2, 1), dropped(1), announced(1))
    assert (state.followed, state.announced[1]) == ((2,), announced(1))


def test_a_generation_may_be_announced_again_and_not_with_another_codebook() -> None:
    moved = announced(2, topology=b'{"codebook": {"path": "/moved"}}')
    assert state_of(*BOTH, moved).announced[2] == moved
    assert state_of(*BOTH, announced(2, "other")).announced[2] == announced(2)


def test_reading_a_record_twice_changes_nothing() -> None:
    records = (*BOTH, cutover(2, 1), cutover(1, 2))
    state = state_of(*records)
    assert [state.apply(offset, record) for offset, record in enumerate(records)] == [False] * 4
    assert state.serving == 1


def test_records_of_generations_are_no_requests_about_shards() -> None:
    state = ControlState(1)
    assert not state.apply(0, announced(1))
    assert not state.apply(1, dropped(1))
    assert state.open_requests == {}
