"""Sealing: a built store becomes version 1 of its shard's log, and can be begun with.

The log of a new generation gets two claims and one delta without edits, which stands for all that
the store holds; its source is where the items topic has to be read on from. What lies before the
second claim is cut off before the delta is there, so that no reader can fold this log from nothing:
each is refused as with any trimmed log, and begins with the snapshot.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from kae.sinks.edits import Counts, Delta, Source
from kae.sinks.fold import LogState
from kae.sinks.log import Log
from kae.sinks.owned import OwnedLog
from kae.sinks.store import ShardStore
from kae.streams.errors import GenerationBegun


class Base(msgspec.Struct, frozen=True):
    """What the first delta of a backfilled log says."""

    source: Source
    counts: Counts
    at_ms: int

    def is_in(self, delta: Delta) -> bool:
        """Whether a delta is this one: no live one counts items and has no edits."""
        return (
            delta.version == 1
            and not delta.edits
            and (delta.source, delta.counts, delta.at_ms) == (self.source, self.counts, self.at_ms)
        )


def seal(
    folder: Path,
    log: Log,
    begins_at: int,
    base: Base,
    fingerprint: str,
    trim: Callable[[int], None],
    max_bytes: int,
) -> ShardStore:
    """Bring a built store and its log to version 1; done again, it changes nothing.

    `begins_at` is the log's first offset; `trim` cuts off what lies before an offset. The store is
    the caller's to close.
    Raises: GenerationBegun when the log holds what this backfill did not write; ForeignCodebook;
    Fenced; AppendUnknown; DiskFull.
    """
    store = ShardStore(folder)
    try:
        _seal(store, log, begins_at, base, fingerprint, trim, max_bytes)
    except BaseException:
        store.close()
        raise
    return store


def _seal(
    store: ShardStore,
    log: Log,
    begins_at: int,
    base: Base,
    fingerprint: str,
    trim: Callable[[int], None],
    max_bytes: int,
) -> None:
    def apply(delta: Delta, state: LogState) -> None:
        if not base.is_in(delta):
            raise GenerationBegun(
                f"{log.name}: holds version {delta.version}, which this backfill did not write: a "
                "worker has begun with this generation, or another backfill has built it. Give a "
                "new --generation"
            )
        store.apply(delta, state)

    state = store.state.log_state()
    if state.version == 0:
        state = LogState(next_offset=begins_at)
    owned = OwnedLog(log, state, "backfill", fingerprint, apply)
    owned.claim()
    if owned.state.version:
        return
    if begins_at == 0:
        owned.claim()
        trim(owned.state.next_offset - 1)
    sent = owned.send([], base.source, base.counts, base.at_ms, max_bytes)
    owned.settle(sent)
