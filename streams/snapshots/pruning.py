"""Pruning from the command line: the archive, and with it the beginning of the shards' logs.

A log is trimmed below the second newest snapshot that is whole, every byte read now, and whose
record the log holds. So whoever comes begins with one of two, and no gap can arise.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from kafka import KafkaAdminClient, TopicPartition

from kae.sinks.log.ownership import BesideLog, check_base
from kae.sinks.log.protocol import LogTruncated
from kae.sinks.snapshots import prune as archives
from kae.sinks.snapshots.manifest import Manifest
from kae.streams.kafka.connection import bootstrap_ms, connection, reached_brokers
from kae.streams.kafka.log import KafkaClients
from kae.streams.snapshots.archives import archive_of
from kae.streams.snapshots.listing import PrunePlanned
from kae.streams.topology.types import Topology

OnShard = Callable[[int], None]


def plan_pruning(
    topology: Topology, clients: KafkaClients, shards: Sequence[int], now_ms: int, on_shard: OnShard
) -> dict[int, tuple[archives.PrunePlan, PrunePlanned]]:
    """What would be done for each shard; everything that stays is read.

    Raises: ArchiveUnreachable, KafkaUnreachable.
    """
    part = topology.snapshots
    plans = {}
    for shard in shards:
        archive = archive_of(topology, shard)
        planned = archives.plan(archive, part.keep, int(part.grace_seconds * 1000), now_ms, set())
        begins, ends = _bounds(topology, clients, shard)
        log_to, log_kept = _trimmed_to(topology, clients, shard, planned, begins, ends)
        told = PrunePlanned(
            shard=shard,
            keep=list(planned.keep),
            drop=list(planned.drop),
            broken=planned.broken,
            blobs=len(planned.blobs) + len(planned.damaged),
            bytes=sum(planned.blobs.values()),
            log_from=begins,
            log_to=log_to,
            log_kept=log_kept,
        )
        plans[shard] = (planned, told)
        on_shard(shard)
    return plans


def prune_snapshots(
    topology: Topology, plans: dict[int, tuple[archives.PrunePlan, PrunePlanned]], on_shard: OnShard
) -> None:
    """Trim the logs first: what is pruned then is needed by nobody who follows them.

    Raises: ArchiveUnreachable, KafkaUnreachable.
    """
    trims = {shard: told.log_to for shard, (_, told) in plans.items() if told.log_to is not None}
    if trims:
        trim_logs(topology, trims)
    for shard, (planned, _) in plans.items():
        archives.prune(archive_of(topology, shard), planned)
        on_shard(shard)


def trim_logs(topology: Topology, to: Mapping[int, int]) -> None:
    """Cut off what lies before an offset of a shard's log.

    Raises: KafkaUnreachable, KafkaRefused.
    """
    with reached_brokers(topology), _admin(topology) as admin:
        admin.delete_records(
            {TopicPartition(topology.deltas_topic, shard): offset for shard, offset in to.items()}
        )


def _bounds(topology: Topology, clients: KafkaClients, shard: int) -> tuple[int, int]:
    place = TopicPartition(topology.deltas_topic, shard)
    with clients.borrowed_consumer() as consumer:
        return consumer.beginning_offsets([place])[place], consumer.end_offsets([place])[place]


def _trimmed_to(
    topology: Topology,
    clients: KafkaClients,
    shard: int,
    planned: archives.PrunePlan,
    begins: int,
    ends: int,
) -> tuple[int | None, str]:
    """Where the log may begin, or why it stays as it is."""
    log = clients.log(topology.deltas_topic, shard)
    anchored: list[Manifest] = []
    for manifest in planned.keep.values():
        try:
            check_base(log, manifest.offset, bytes.fromhex(manifest.tail), ends)
        except (BesideLog, LogTruncated) as error:
            return None, f"a snapshot is not of this log: {error}"
        anchored.append(manifest)
    if len(anchored) < 2:
        return None, f"{len(anchored)} whole snapshots; two are needed"
    to = anchored[1].offset
    return (to, "") if to > begins else (None, "it begins there already")


@contextmanager
def _admin(topology: Topology) -> Iterator[KafkaAdminClient]:
    admin = KafkaAdminClient(
        **connection(topology),
        client_id=f"{topology.kafka.client_id}-snapshot",
        bootstrap_timeout_ms=bootstrap_ms(topology),
    )
    try:
        yield admin
    finally:
        admin.close()
