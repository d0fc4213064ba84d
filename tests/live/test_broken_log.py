"""What the brokers hold of a log is damaged where it lies: told, and never read over."""

import shutil
from functools import partial
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from tests.live.killer import wait_for
from tests.live.ledger import Ledger, upserts
from tests.live.test_snapshots import SHARDS, hashes, pace, read, snapshots

from kae.deploy.brokers import ApacheKafka
from kae.deploy.cluster import Cluster, ReplicaProcess
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.sinks.log.protocol import LogTruncated
from kae.sinks.shard import Shard
from kae.streams.kafka.log import KafkaClients

__all__ = ["pace"]  # a fixture

LOST, ALTERED = 3, 5


def segments(kafka: ApacheKafka, cluster: Cluster, shard: int) -> list[Path]:
    """The files of a shard's log, the oldest first."""
    (folder,) = kafka.data.rglob(f"{cluster.topology.deltas_topic}-{shard}")
    return sorted(folder.glob("*.log"))


def of_small_segments(cluster: Cluster) -> None:
    """Have every delta begin a segment of its own."""
    topic, changes = cluster.topology.deltas_topic, {"segment.ms": "1"}
    admin = KafkaAdminClient(bootstrap_servers=cluster.topology.kafka.bootstrap)
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, changes)])
    admin.close()


def lose(segment: Path) -> None:
    for path in segment.parent.glob(f"{segment.stem}.*"):
        path.unlink()


def flip(segment: Path) -> None:
    whole = bytearray(segment.read_bytes())
    whole[-9] ^= 0x10
    segment.write_bytes(whole)


@pytest.mark.timeout(240)
def test_a_lost_segment_and_a_flipped_byte_are_begun_behind_or_refused(
    cluster: Cluster,
    kafka: ApacheKafka,
    ledger: Ledger,
    catalog: list[Item],
    codebook: Codebook,
) -> None:
    of_small_segments(cluster)
    replica = cluster.start_replica("replica", wait=False)
    worker = cluster.start_worker("one", wait=False)
    cluster.wait_ready()
    for ends in range(100, 500, 100):
        ledger.publish(upserts(catalog[ends - 100 : ends]))
        wait_for(partial(has_read, replica, ends), "the items")
    snapshots(cluster, "create", "--shard", str(LOST), "--shard", str(ALTERED))
    worker.kill()
    replica.process.kill()
    kafka.stop()
    for shard, harm in ((LOST, lose), (ALTERED, flip)):
        found = segments(kafka, cluster, shard)
        harm(found[len(found) // 2])
    kafka.start()

    behind = cluster.start_replica("behind")
    worker = cluster.start_worker("two")
    ledger.publish(upserts(catalog[400:600]))
    wait_for(partial(has_read, behind, 600), "the items that came since")
    assert hashes(behind) == [ledger.hash(number) for number in SHARDS]

    worker.kill()
    shutil.rmtree(str(cluster.topology.snapshots.url))
    late = cluster.start_replica("late", wait=False)
    assert late.process.wait(60) == 1
    assert f"{cluster.topology.deltas_topic}" in late.process.output()
    assert "a newer snapshot" in late.process.output()
    gone = r"offset \d+ is gone, the next record is \d+.*there is no snapshot"
    damaged = r"the broker's copy is damaged: .*there is no snapshot"
    for shard, says in ((LOST, gone), (ALTERED, damaged)):
        with pytest.raises(LogTruncated, match=f"/{shard}: {says}.*backfill a new generation"):
            owned(cluster, shard, cluster.folder / "another", codebook.fingerprint)


def has_read(replica: ReplicaProcess, items: int) -> bool:
    return read(replica) == items


def owned(cluster: Cluster, shard: int, folder: Path, fingerprint: str) -> Shard:
    """As a worker takes a shard over, which has nothing of it."""
    bootstrap = cluster.topology.kafka.bootstrap
    clients = KafkaClients(bootstrap, "another", timeout_seconds=30, max_bytes=1 << 20)
    try:
        return Shard(
            folder,
            clients.log(cluster.topology.deltas_topic, shard),
            owner="another",
            fingerprint=fingerprint,
            max_bytes=1 << 20,
        )
    finally:
        clients.close()
