"""The rules of requests: what one changes in a shard's position, and when it is refused. Pure.

A command applies them before it sends a request, and the shard's owner before it carries it out:
offsets may change in between.
"""

from typing import NamedTuple

import msgspec

from kae.sinks.log.edits import SourceRange
from kae.streams.control.records import Pause, Refold, Reset, Resume, Snapshot
from kae.streams.control.state import RequestState
from kae.streams.kafka.source import SourceBounds, SourcePosition, count_lost, find_break


class RetainedOffsets(NamedTuple):
    """A partition, and the first offset that it still holds."""

    name: str
    begins_at: int


def position_of(source: SourceRange) -> SourcePosition:
    """Where a shard stands in the items topic, as its log says."""
    return SourcePosition(source.next_offset, source.topic)


def reset_refusal(
    shard: int, to_offset: int, at: SourcePosition, found: SourceBounds, *, accept_loss: bool
) -> str:
    """Why the shard cannot be reset to an offset, with the remedy; empty if it can."""
    where = f"shard {shard}: offset {to_offset} of {found.name}"
    if to_offset < found.begins_at:
        return (
            f"{where} is gone: the topic begins at {found.begins_at}. Give --to-earliest to read "
            "all that is left, and ingest the earlier events again"
        )
    if find_break(at, found):
        if to_offset > found.begins_at:
            return (
                f"{where}: {find_break(at, found)}. kae skips no event that the topic holds: give "
                "--to-earliest"
            )
    elif to_offset > at.next_offset:
        return (
            f"{where} lies beyond {at.next_offset}, the next offset that the shard reads, and kae "
            "skips no event: what cannot be indexed becomes a dead letter (`kae dead-letters "
            f"list`). Reset to {at.next_offset} or below; if the shard is paused, "
            f"`kae shard resume {shard}`"
        )
    lost = count_lost(at, found, to_offset)
    if lost and not accept_loss:
        return (
            f"shard {shard}: {lost:,} events of {found.name} before offset {to_offset} were "
            "deleted before the shard read them. Give --accept-loss to count them as lost and go "
            "on, and ingest them again if their source still has them"
        )
    return ""


def resume_refusal(shard: int, stopped: str) -> str:
    """Why a shard cannot be resumed, with the remedy; empty if it can."""
    if not stopped:
        return ""
    return f"shard {shard} has stopped: {stopped}. {stopped_remedy(shard)}"


def stopped_remedy(shard: int) -> str:
    return (
        f"`kae shard reset {shard} --to-earliest` reads what the topic has now; it says how many "
        "events are gone, if any, and --accept-loss counts those as lost"
    )


def refold_refusal(shard: int, deltas: RetainedOffsets) -> str:
    """Why the shard's store cannot be folded again, with the remedy; empty if it can."""
    if deltas.begins_at > 0:
        return (
            f"shard {shard}: {deltas.name} begins at {deltas.begins_at}, and a store is folded "
            "from offset 0; the store is kept. Backfill a new generation to rebuild it"
        )
    return ""


def apply_request(state: RequestState, source: SourceRange, topic: str = "") -> SourceRange:
    """The shard's position after a request is carried out; `topic` is the id of the items topic."""
    source = msgspec.structs.replace(source, next_control=state.offset + 1)
    match state.request:
        case Pause():
            return msgspec.structs.replace(source, paused=True)
        case Resume():
            return msgspec.structs.replace(source, paused=False)
        case Reset(to_offset=offset):
            return msgspec.structs.replace(source, next_offset=offset, topic=topic, stopped="")
        case Refold() | Snapshot():
            return source
