"""Verifying: fold every shard's log from offset 0 in a fresh store, and compare with a replica."""

import tempfile
import time
from pathlib import Path

import msgspec
from kafka import KafkaConsumer, TopicPartition

from kae.sinks.fold import LogState, fold
from kae.sinks.log import refuse_gap
from kae.sinks.store import ShardStore
from kae.streams.kafka_log import KafkaClients, poll
from kae.streams.replica.answers import CountsShown, ShardShown
from kae.streams.replica.client import ReplicaClient
from kae.streams.topics import check_topics
from kae.streams.topology import Topology

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


def verify(topology: Topology, replica: ReplicaClient) -> Verified:
    """Fold each log to the version that the replica has now, and compare hash and counts.

    Raises: KafkaUnreachable, ReplicaUnreachable, TopicDiffers, LogCorrupt, LogTruncated.
    """
    check_topics(topology)
    kafka = topology.kafka
    clients = KafkaClients(
        kafka.bootstrap,
        f"{kafka.client_id}-verify",
        timeout_seconds=kafka.request_timeout_seconds,
        max_bytes=topology.limits.delta_bytes,
    )
    shown = replica.status(with_hashes=True).shards
    consumer = clients.consumer()
    try:
        with tempfile.TemporaryDirectory(prefix="kae-verify-") as folder:
            shards = [_verify(topology, consumer, one, Path(folder)) for one in shown]
    finally:
        consumer.close(autocommit=False)
        clients.close()
    return Verified(all(shard.equal for shard in shards), shards)


def _verify(
    topology: Topology, consumer: KafkaConsumer, shown: ShardShown, folder: Path
) -> ShardVerified:
    store = ShardStore(folder / str(shown.shard), topology.stores.write_buffer_bytes)
    try:
        partition = TopicPartition(topology.deltas_topic, shown.shard)
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


def _fold(
    consumer: KafkaConsumer, partition: TopicPartition, store: ShardStore, shown: ShardShown
) -> int:
    """Fold up to the replica's version, then on to the log's end; returns its version there.

    A log that is silent before the replica's version is reached ends the reading.
    """
    state = LogState()
    consumer.assign([partition])
    consumer.seek(partition, 0)
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
