"""Verifying: fold every shard's log from offset 0 in a fresh store, and compare with a replica."""

import tempfile
import time
from pathlib import Path

import msgspec
from kafka import KafkaConsumer, TopicPartition

from kae.sinks.log.fold import fold
from kae.sinks.log.protocol import LogTruncated, refuse_gap
from kae.sinks.store.store import ShardStore
from kae.streams.codebooks.opening import open_codebook
from kae.streams.kafka.log import KafkaClients, poll
from kae.streams.kafka.topics import check_topics
from kae.streams.replica_api.client import ReplicaClient
from kae.streams.replica_api.status import CountsShown, ShardShown
from kae.streams.snapshots.archives import snapshots_in_log
from kae.streams.topology.types import Topology

# A log that has more to tell tells it within this time.
SILENCE_SECONDS = 5.0


class ShardVerified(msgspec.Struct, frozen=True):
    """One shard as its log says, at the version that the replica shows."""

    shard: int
    version: int
    behind: int  # versions that the log held and the replica did not show yet
    live: int
    hash: str
    replica_hash: str | None
    counts: CountsShown
    equal: bool


class Verified(msgspec.Struct, frozen=True):
    """What `kae log verify --json` prints."""

    equal: bool
    shards: list[ShardVerified]


def verify_logs(topology: Topology, replica: ReplicaClient) -> Verified:
    """Fold each log to the version that the replica has now, and compare hash and counts.

    Raises: KafkaUnreachable, ReplicaUnreachable, TopicDiffers, LogCorrupt, LogTruncated.
    """
    check_topics(topology)
    clients = KafkaClients.of(
        topology,
        "verify",
        timeout_seconds=topology.kafka.request_timeout_seconds,
        max_bytes=topology.limits.delta_bytes,
    )
    fingerprint = open_codebook(topology).fingerprint
    shown = replica.status(with_hashes=True, generation=topology.generation).shards
    consumer = clients.consumer()
    try:
        with tempfile.TemporaryDirectory(prefix="kae-verify-") as folder:
            shards = [
                _verify(topology, clients, consumer, fingerprint, one, Path(folder))
                for one in shown
            ]
    finally:
        consumer.close(autocommit=False)
        clients.close()
    return Verified(all(shard.equal for shard in shards), shards)


def _verify(
    topology: Topology,
    clients: KafkaClients,
    consumer: KafkaConsumer,
    fingerprint: str,
    shown: ShardShown,
    folder: Path,
) -> ShardVerified:
    partition = TopicPartition(topology.deltas_topic, shown.shard)
    place = folder / str(shown.shard)
    if consumer.beginning_offsets([partition])[partition] > 0:
        _lay_snapshot(topology, clients, fingerprint, shown, place)
    store = ShardStore(place, topology.stores.write_buffer_bytes)
    try:
        newest = _fold(consumer, partition, store, shown)
        counts = CountsShown(*msgspec.structs.astuple(store.state.counts))
        content = store.content_hash()
        return ShardVerified(
            shard=shown.shard,
            version=store.state.version,
            behind=max(0, newest - shown.version),
            live=store.state.live,
            hash=content,
            replica_hash=shown.hash,
            counts=counts,
            equal=content == shown.hash and counts == shown.counts,
        )
    finally:
        store.close()


def _lay_snapshot(
    topology: Topology, clients: KafkaClients, fingerprint: str, shown: ShardShown, folder: Path
) -> None:
    """Where a log was trimmed, begin with a snapshot that is not newer than what is compared.

    Raises: LogTruncated when there is none.
    """
    passed_over: list[str] = []
    fit = snapshots_in_log(topology, clients, shown.shard, fingerprint, newest=shown.version)
    if next(fit(folder, passed_over.append), None) is None:
        tried = "; ".join(passed_over) or "there is none"
        raise LogTruncated(
            f"{topology.deltas_topic}/{shown.shard}: the log was trimmed, and no snapshot below "
            f"version {shown.version} can be begun with: {tried}. Verify another replica, or "
            "backfill a new generation"
        )


def _fold(
    consumer: KafkaConsumer, partition: TopicPartition, store: ShardStore, shown: ShardShown
) -> int:
    """Fold up to the replica's version, then on to the log's end; returns its version there.

    A log that is silent before the replica's version is reached ends the reading.
    """
    state = store.state.log_state()
    consumer.assign([partition])
    consumer.seek(partition, state.next_offset)
    end = consumer.end_offsets([partition])[partition]
    heard_at = time.monotonic()
    while state.version < shown.version or state.next_offset < end:
        records = poll(consumer, f"{partition.topic}/{partition.partition}")
        if records:
            heard_at = time.monotonic()
        elif time.monotonic() - heard_at > SILENCE_SECONDS:
            break
        for record in records:
            refuse_gap(f"{partition.topic}/{partition.partition}", state.next_offset, record.offset)
            folded = fold(state, record.offset, record.value or b"")
            state = folded.state
            if folded.delta is not None and state.version <= shown.version:
                store.apply(folded.delta, folded.state)
    return state.version
