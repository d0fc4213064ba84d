"""Publish a generation that is built: each store becomes version 1 of its log, and a snapshot.

The log of a new generation gets two claims and one delta without edits, which stands for all that
the store holds; its source is the items offset to read on from. What lies before the second claim
is trimmed before the delta is appended. So no reader can fold this log from its beginning: as with
any trimmed log, it has to start from the snapshot.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
from kafka import TopicPartition

from kae.sinks.log.edits import Counts, Delta, SourceRange
from kae.sinks.log.fold import LogState
from kae.sinks.log.ownership import OwnedLog
from kae.sinks.log.protocol import Log
from kae.sinks.snapshots.manifest import SnapshotOrigin
from kae.sinks.snapshots.take import take_snapshot
from kae.sinks.store.store import ShardStore
from kae.streams.backfill.build import read_built
from kae.streams.backfill.encode import read_finished
from kae.streams.backfill.job import EventsSplit, Job
from kae.streams.backfill.refusals import read_dead_letters
from kae.streams.backfill.work import WorkFolder, write_atomically
from kae.streams.dead_letters.records import publish_dead_letters
from kae.streams.errors import GenerationBegun
from kae.streams.kafka.connection import reached_brokers
from kae.streams.kafka.log import KafkaClients
from kae.streams.snapshots.archives import log_name, open_archive
from kae.streams.snapshots.pruning import trim_logs
from kae.streams.topology.types import Topology


class ShardBackfilled(msgspec.Struct, frozen=True):
    """A shard whose snapshot is in the archive."""

    shard: int
    items: int
    stale: int
    hash: str
    next_offset: int
    manifest: str


def publish_shards(topology: Topology, job: Job, work: WorkFolder) -> list[ShardBackfilled]:
    """Publish every shard, once all are built and the dead letters are stored."""
    refused = _refused_by_shard(job, work)
    with (
        KafkaClients.for_writing(topology, "backfill") as clients,
        reached_brokers(topology),
        clients.borrowed_consumer() as consumer,
    ):
        _send_dead_letters(topology, clients, job, work)
        places = [TopicPartition(topology.deltas_topic, shard) for shard in range(job.shards)]
        begins = consumer.beginning_offsets(places)
        return [
            _publish_shard(topology, clients, job, work, shard, begins[place], refused[shard])
            for shard, place in enumerate(places)
        ]


def _send_dead_letters(
    topology: Topology, clients: KafkaClients, job: Job, work: WorkFolder
) -> None:
    """Publish those of refused rows; a backfill that goes on publishes the same ones again."""
    timeout = topology.kafka.delivery_timeout_seconds
    for number in range(len(job.splits)):
        if work.dead_letters(number).exists():
            for batch in read_dead_letters(work.dead_letters(number)):
                publish_dead_letters(clients, topology.dead_letters_topic, batch, timeout)


def _refused_by_shard(job: Job, work: WorkFolder) -> list[int]:
    """Refused events count in their own shard; refused rows have none, and count in the first."""
    counts = [0] * job.shards
    for number, split in enumerate(job.splits):
        shard = split.partition if isinstance(split, EventsSplit) else 0
        counts[shard] += read_finished(work, number).refused
    return counts


def _publish_shard(
    topology: Topology,
    clients: KafkaClients,
    job: Job,
    work: WorkFolder,
    shard: int,
    begins_at: int,
    refused: int,
) -> ShardBackfilled:
    if work.published(shard).exists():
        return msgspec.json.decode(work.published(shard).read_bytes(), type=ShardBackfilled)
    built = read_built(work, shard)
    counts = Counts(built.read + refused, built.put, built.dropped, built.stale, refused)
    first = FirstDelta(SourceRange(next_offset=job.next_offsets[shard]), counts, job.as_of_ms)

    def trim(to: int) -> None:
        trim_logs(topology, {shard: to})

    store = write_first_delta(
        work.shard(shard) / "store",
        clients.log(topology.deltas_topic, shard),
        begins_at,
        first,
        job.fingerprint,
        trim,
        topology.limits.delta_bytes,
    )
    checkpoint = work.shard(shard) / "checkpoint"
    shutil.rmtree(checkpoint, ignore_errors=True)
    try:
        store.checkpoint(checkpoint)
        origin = SnapshotOrigin(
            log_name(topology, shard), job.generation, shard, "backfill", job.as_of_ms
        )
        taken = take_snapshot(open_archive(topology, shard), checkpoint, store.state, origin)
    finally:
        store.close()
    shutil.rmtree(checkpoint)
    offset = job.next_offsets[shard]
    done = ShardBackfilled(shard, built.put, built.stale, built.hash, offset, taken.name)
    write_atomically(work.published(shard), msgspec.json.encode(done))
    return done


class FirstDelta(msgspec.Struct, frozen=True):
    """The content of the first delta of a backfilled log."""

    source: SourceRange
    counts: Counts
    at_ms: int

    def matches(self, delta: Delta) -> bool:
        """Whether a delta is this one: no delta of a live worker counts items without edits."""
        return (
            delta.version == 1
            and not delta.edits
            and (delta.source, delta.counts, delta.at_ms) == (self.source, self.counts, self.at_ms)
        )


def write_first_delta(
    folder: Path,
    log: Log,
    begins_at: int,
    first: FirstDelta,
    fingerprint: str,
    trim: Callable[[int], None],
    max_bytes: int,
) -> ShardStore:
    """Bring a built store and its log to version 1, unless they have it already.

    `begins_at` is the first offset of the log; `trim` deletes the records before an offset. The
    caller closes the store.
    Raises: GenerationBegun when the log holds what this backfill did not write; ForeignCodebook;
    Fenced; AppendUnknown; DiskFull.
    """
    store = ShardStore(folder)
    try:
        _write_first_delta(store, log, begins_at, first, fingerprint, trim, max_bytes)
    except BaseException:
        store.close()
        raise
    return store


def _write_first_delta(
    store: ShardStore,
    log: Log,
    begins_at: int,
    first: FirstDelta,
    fingerprint: str,
    trim: Callable[[int], None],
    max_bytes: int,
) -> None:
    def apply(delta: Delta, state: LogState) -> None:
        if not first.matches(delta):
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
    owned.append([], first.source, first.counts, first.at_ms, max_bytes).apply()
