"""The rules of requests: what one changes in a shard's position, and when it is refused. Pure.

A command applies them before it sends a request, and the shard's owner before it carries it out:
offsets may change in between.
"""

from typing import NamedTuple

import msgspec

from kae.sinks.log.edits import SourceRange
from kae.streams.control.records import Pause, Refold, Reset, Resume, Snapshot
from kae.streams.control.state import RequestState


class RetainedOffsets(NamedTuple):
    """A partition, and the first offset that it still holds."""

    name: str
    begins_at: int


def reset_refusal(shard: int, to_offset: int, next_offset: int, items: RetainedOffsets) -> str:
    """Why the shard cannot be reset to an offset, with the remedy; empty if it can."""
    where = f"shard {shard}: offset {to_offset} of {items.name}"
    if to_offset > next_offset:
        return (
            f"{where} lies beyond {next_offset}, the next offset that the shard reads, and kae "
            "skips no event: what cannot be indexed becomes a dead letter (`kae dead-letters "
            f"list`). Reset to {next_offset} or below; if the shard is paused, "
            f"`kae shard resume {shard}`"
        )
    if to_offset < items.begins_at:
        return (
            f"{where} is gone: the topic begins at {items.begins_at}. Give --to-earliest to read "
            "all that is left, and ingest the earlier events again"
        )
    return ""


def refold_refusal(shard: int, deltas: RetainedOffsets) -> str:
    """Why the shard's store cannot be folded again, with the remedy; empty if it can."""
    if deltas.begins_at > 0:
        return (
            f"shard {shard}: {deltas.name} begins at {deltas.begins_at}, and a store is folded "
            "from offset 0; the store is kept. Backfill a new generation to rebuild it"
        )
    return ""


def apply_request(state: RequestState, source: SourceRange) -> SourceRange:
    """The shard's position after a request is carried out."""
    source = msgspec.structs.replace(source, next_control=state.offset + 1)
    match state.request:
        case Pause():
            return msgspec.structs.replace(source, paused=True)
        case Resume():
            return msgspec.structs.replace(source, paused=False)
        case Reset(to_offset=offset):
            return msgspec.structs.replace(source, next_offset=offset)
        case Refold() | Snapshot():
            return source
