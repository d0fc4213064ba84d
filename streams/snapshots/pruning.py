"""Prune snapshots from the command line, and trim the shards' logs accordingly.

A log is trimmed before the record of the second newest snapshot that is whole (every byte is read)
and whose record the log holds. So a reader can start from one of two snapshots, and no gap arises.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from kafka import TopicPartition

from kae.sinks.log.ownership import StoreDiverged, check_prefix
from kae.sinks.log.protocol import LogTruncated
from kae.sinks.snapshots.manifest import Manifest
from kae.sinks.snapshots.prune import PrunePlan, plan_prune, prune
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.topics import admin_client
from kae.streams.snapshots.archives import open_archive
from kae.streams.snapshots.listing import ShardPruneReport
from kae.streams.topology.types import Topology

OnShard = Callable[[int], None]


class ShardPruning(NamedTuple):
    """What is pruned of one shard: in its archive, and as the command reports it."""

    plan: PrunePlan
    report: ShardPruneReport


def plan_pruning(
    topology: Topology, clients: KafkaClients, shards: Sequence[int], now_ms: int, on_shard: OnShard
) -> list[ShardPruning]:
    """What would be pruned of each shard; every snapshot that is kept is read.

    Raises: ArchiveUnreachable, KafkaUnreachable.
    """
    snapshots = topology.snapshots
    grace_ms = int(snapshots.grace_seconds * 1000)
    prunings = []
    for shard in shards:
        plan = plan_prune(open_archive(topology, shard), snapshots.keep, grace_ms, now_ms, set())
        prunings.append(ShardPruning(plan, _report(topology, clients, shard, plan)))
        on_shard(shard)
    return prunings


def prune_snapshots(
    topology: Topology, prunings: Sequence[ShardPruning], on_shard: OnShard
) -> None:
    """Trim the logs, then prune: readers of the trimmed logs need nothing that is pruned.

    Raises: ArchiveUnreachable, KafkaUnreachable.
    """
    reports = [report for _, report in prunings]
    trims = {one.shard: one.log_to for one in reports if one.log_to is not None}
    if trims:
        trim_logs(topology, trims)
    for plan, report in prunings:
        prune(open_archive(topology, report.shard), plan)
        on_shard(report.shard)


def trim_logs(topology: Topology, to: Mapping[int, int]) -> None:
    """Delete the records before an offset of each shard's log.

    Raises: KafkaUnreachable, KafkaRefused.
    """
    with admin_client(topology) as admin:
        admin.delete_records(
            {TopicPartition(topology.deltas_topic, shard): offset for shard, offset in to.items()}
        )


def _report(
    topology: Topology, clients: KafkaClients, shard: int, plan: PrunePlan
) -> ShardPruneReport:
    place = TopicPartition(topology.deltas_topic, shard)
    with clients.borrowed_consumer() as consumer:
        begins = consumer.beginning_offsets([place])[place]
        end = consumer.end_offsets([place])[place]
    log_to, log_kept = _trim_offset(topology, clients, shard, plan, range(begins, end))
    return ShardPruneReport(
        shard=shard,
        keep=list(plan.keep),
        drop=list(plan.drop),
        broken=plan.broken,
        blobs=len(plan.blobs) + len(plan.damaged),
        bytes=sum(plan.blobs.values()),
        log_from=begins,
        log_to=log_to,
        log_kept=log_kept,
    )


def _trim_offset(
    topology: Topology, clients: KafkaClients, shard: int, plan: PrunePlan, held: range
) -> tuple[int | None, str]:
    """The offset that the log is trimmed before, or why it is not trimmed."""
    log = clients.log(topology.deltas_topic, shard)
    in_log: list[Manifest] = []
    for manifest in plan.keep.values():
        try:
            check_prefix(log, manifest.offset, bytes.fromhex(manifest.tail), held.stop)
        except (StoreDiverged, LogTruncated) as error:
            return None, f"a snapshot is not of this log: {error}"
        in_log.append(manifest)
    if len(in_log) < 2:
        return None, f"{len(in_log)} whole snapshots; two are needed"
    offset = in_log[1].offset
    return (offset, "") if offset > held.start else (None, "it begins there already")
