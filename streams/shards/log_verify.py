"""Verify a replica: fold every shard's log into a new store, and compare the two."""

import tempfile
from pathlib import Path

import msgspec
from kafka import TopicPartition

from kae.sinks.store.store import ShardStore
from kae.streams.codebooks.opening import open_codebook
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.reader import read_deltas
from kae.streams.kafka.topics import check_topics
from kae.streams.replica_api.client import ReplicaClient
from kae.streams.replica_api.status import CountsShown, ShardShown
from kae.streams.snapshots.archives import restore_if_trimmed
from kae.streams.topology.types import Topology


class ShardLogVerified(msgspec.Struct, frozen=True):
    """One shard, folded from its log to the version that the replica shows."""

    shard: int
    version: int
    behind: int  # versions that the log holds and the replica does not show yet
    live: int
    hash: str
    replica_hash: str | None
    counts: CountsShown
    equal: bool


class LogsVerified(msgspec.Struct, frozen=True):
    """What `kae log verify --json` prints."""

    equal: bool
    shards: list[ShardLogVerified]


def verify_logs(topology: Topology, replica: ReplicaClient) -> LogsVerified:
    """Fold each log to the version that the replica shows, and compare hash and counts.

    Raises: KafkaUnreachable, ReplicaUnreachable, TopicDiffers, LogCorrupt, LogTruncated.
    """
    check_topics(topology)
    fingerprint = open_codebook(topology).fingerprint
    shown = replica.status(with_hashes=True, generation=topology.generation).shards
    with (
        KafkaClients.for_reading(topology, "verify") as clients,
        tempfile.TemporaryDirectory(prefix="kae-verify-") as folder,
    ):
        shards = [_verify(topology, clients, fingerprint, one, Path(folder)) for one in shown]
    return LogsVerified(all(shard.equal for shard in shards), shards)


def _verify(
    topology: Topology,
    clients: KafkaClients,
    fingerprint: str,
    shown: ShardShown,
    folder: Path,
) -> ShardLogVerified:
    partition = TopicPartition(topology.deltas_topic, shown.shard)
    place = folder / str(shown.shard)
    restore_if_trimmed(
        topology,
        clients,
        shown.shard,
        fingerprint,
        place,
        newest=shown.version,
        remedy="Verify another replica, or backfill a new generation",
    )
    store = ShardStore(place, topology.stores.write_buffer_bytes)
    try:
        newest = _fold(clients, partition, store, shown.version)
        counts = CountsShown(*msgspec.structs.astuple(store.state.counts))
        content = store.content_hash()
        return ShardLogVerified(
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


def _fold(clients: KafkaClients, partition: TopicPartition, store: ShardStore, version: int) -> int:
    """Fold a log into a store up to a version; returns the version at the log's end."""
    newest = store.state.version
    for state, delta in read_deltas(clients, partition, store.state.log_state()):
        newest = state.version
        if newest <= version:
            store.apply(delta, state)
    return newest
