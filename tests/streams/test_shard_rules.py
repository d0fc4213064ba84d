"""What requests do to where a shard stands, and why some are refused."""

import pytest

from kae.sinks.log.edits import SourceRange
from kae.streams.control.records import Pause, Refold, Request, Reset, Resume
from kae.streams.control.state import RequestState
from kae.streams.kafka.source import SourceBounds, SourcePosition
from kae.streams.shards.requests import (
    RetainedOffsets,
    apply_request,
    refold_refusal,
    reset_refusal,
)

ITEMS = SourceBounds("kae.items/3", begins_at=40, ends_at=200)
STANDS = SourceRange(next_offset=100, bindings_version=9, next_control=2)
WHO = (1, 3, "ann", "", 0)


@pytest.mark.parametrize("to_offset", [40, 41, 99, 100])
def test_a_shard_is_reset_to_any_offset_that_it_has_passed_and_the_topic_holds(
    to_offset: int,
) -> None:
    assert reset_refusal(3, to_offset, SourcePosition(100), ITEMS, accept_loss=False) == ""


def test_a_reset_forward_is_refused_with_its_remedy() -> None:
    refused = reset_refusal(3, 101, SourcePosition(100), ITEMS, accept_loss=True)
    assert refused.startswith("shard 3: offset 101 of kae.items/3 lies beyond 100")
    assert "`kae dead-letters list`" in refused
    assert "\n" not in refused


def test_a_reset_below_the_beginning_is_refused_with_its_remedy() -> None:
    refused = reset_refusal(3, 39, SourcePosition(100), ITEMS, accept_loss=True)
    assert "offset 39 of kae.items/3 is gone: the topic begins at 40. Give --to-earliest" in refused
    assert "\n" not in refused


def test_a_store_is_not_deleted_when_its_log_has_lost_its_beginning() -> None:
    assert refold_refusal(3, RetainedOffsets("kae.g1.deltas/3", 0)) == ""
    assert "begins at 7" in refold_refusal(3, RetainedOffsets("kae.g1.deltas/3", 7))


@pytest.mark.parametrize(
    ("request_", "after"),
    [
        (Pause(*WHO), SourceRange(100, 9, 6, True)),
        (Resume(*WHO), SourceRange(100, 9, 6, False)),
        (Reset(*WHO, to_offset=40), SourceRange(40, 9, 6, False)),
        (Refold(*WHO), SourceRange(100, 9, 6, False)),
    ],
)
def test_a_request_that_is_carried_out_moves_what_it_names_alone(
    request_: Request, after: SourceRange
) -> None:
    assert apply_request(RequestState(5, request_), STANDS) == after


def test_a_paused_shard_that_is_reset_stays_paused() -> None:
    paused = SourceRange(100, 9, 2, True)
    assert apply_request(RequestState(5, Reset(*WHO, to_offset=40)), paused).paused


def test_a_shard_that_is_reset_reads_on_from_the_topic_that_there_is_now() -> None:
    stopped = SourceRange(100, 9, 2, topic="first", stopped="kae.items/3 ends at 10")
    after = apply_request(RequestState(5, Reset(*WHO, to_offset=0)), stopped, "second")
    assert after == SourceRange(0, 9, 6, topic="second")
