"""What a request does to where a shard stands, and why one is refused. Pure.

The commands apply these rules before they ask, and the owner when it is asked: what they look at
may have changed in between.
"""

from typing import NamedTuple

import msgspec

from kae.sinks.log.edits import SourceRange
from kae.streams.control.records import Pause, Refold, Reset, Resume, Snapshot
from kae.streams.control.state import RequestState


class RetainedOffsets(NamedTuple):
    """What is left of a partition: from which offset on it can be read."""

    name: str
    begins_at: int


def why_no_reset(shard: int, to_offset: int, next_offset: int, items: RetainedOffsets) -> str:
    """Why the shard cannot be reset to there, with the remedy; empty if it can."""
    where = f"shard {shard}: offset {to_offset} of {items.name}"
    if to_offset > next_offset:
        return (
            f"{where} lies beyond {next_offset}, where the shard goes on, and kae skips no event: "
            "what cannot be indexed goes to the dead letters by itself (`kae dead-letters list`). "
            f"Reset to {next_offset} or below; if the shard is paused, `kae shard resume {shard}`"
        )
    if to_offset < items.begins_at:
        return (
            f"{where} is gone: the topic begins at {items.begins_at}. Give --to-earliest to read "
            "all that is left, and ingest again what came before"
        )
    return ""


def why_no_refold(shard: int, deltas: RetainedOffsets) -> str:
    """Why the shard cannot be folded again, with the remedy; empty if it can."""
    if deltas.begins_at > 0:
        return (
            f"shard {shard}: {deltas.name} begins at {deltas.begins_at}, and a store is folded "
            "from offset 0; the store stays as it is. Backfill a new generation to rebuild it"
        )
    return ""


def carried_out(filed: RequestState, source: SourceRange) -> SourceRange:
    """Where the shard stands once the request is carried out."""
    source = msgspec.structs.replace(source, next_control=filed.offset + 1)
    match filed.request:
        case Pause():
            return msgspec.structs.replace(source, paused=True)
        case Resume():
            return msgspec.structs.replace(source, paused=False)
        case Reset(to_offset=offset):
            return msgspec.structs.replace(source, next_offset=offset)
        case Refold() | Snapshot():
            return source
