"""The items offsets that a generation is read on from: recorded before the first row is read.

Sealing: a built store becomes version 1 of its shard's log, and can be begun with.

The log of a new generation gets two claims and one delta without edits, which stands for all that
the store holds; its source is where the items topic has to be read on from. What lies before the
second claim is cut off before the delta is there, so that no reader can fold this log from nothing:
each is refused as with any trimmed log, and begins with the snapshot.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
from kafka import KafkaConsumer, TopicPartition

from kae.sinks.log.edits import Counts, Delta, SourceRange
from kae.sinks.log.fold import LogState
from kae.sinks.log.ownership import OwnedLog
from kae.sinks.log.protocol import Log
from kae.sinks.store.store import ShardStore
from kae.streams.errors import AsOfGone, GenerationBegun
from kae.streams.topology.types import Topology


def next_offsets(
    topology: Topology, consumer: KafkaConsumer, as_of_ms: int | None
) -> tuple[int, ...]:
    """Of each shard the end of its items, or the first one that is as new as a moment.

    Raises: AsOfGone when the topic may have forgotten some that are newer.
    """
    places = [TopicPartition(topology.items_topic, shard) for shard in range(topology.shards)]
    ends = consumer.end_offsets(places)
    if as_of_ms is None:
        return tuple(ends[place] for place in places)
    begins = consumer.beginning_offsets(places)
    found = consumer.offsets_for_times(dict.fromkeys(places, as_of_ms))
    offsets = []
    for place in places:
        first = found.get(place)
        offset = ends[place] if first is None else first.offset
        if offset == begins[place] > 0:
            raise AsOfGone(
                f"{place.topic}/{place.partition}: begins at offset {offset}, which may be later "
                "than --as-of: newer events are gone. Dump the catalog again, or raise "
                "topics.items_retention_hours before the next dump"
            )
        offsets.append(offset)
    return tuple(offsets)


def beginnings(topology: Topology, consumer: KafkaConsumer) -> tuple[int, ...]:
    """Where the items of each shard begin, when every item is still there.

    Raises: AsOfGone when the topic has forgotten some, for they cannot be made up for.
    """
    places = [TopicPartition(topology.items_topic, shard) for shard in range(topology.shards)]
    begins = consumer.beginning_offsets(places)
    for place in places:
        if begins[place] > 0:
            raise AsOfGone(
                f"{place.topic}/{place.partition}: begins at offset {begins[place]}, so it does "
                "not hold every item. Give a CATALOG with --as-of beside --from-items"
            )
    return tuple(begins[place] for place in places)


class SealedPosition(msgspec.Struct, frozen=True):
    """What the first delta of a backfilled log says."""

    source: SourceRange
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
    base: SealedPosition,
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
    base: SealedPosition,
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
    owned.append([], base.source, base.counts, base.at_ms, max_bytes).apply()
