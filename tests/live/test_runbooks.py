"""Alarms ring when what they are for happens, and are over once docs/runbooks.md was followed."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, TopicPartition
from tests.live.asking import kae, told
from tests.live.conftest import QUICK
from tests.live.killer import wait_for
from tests.live.ledger import Event, Ledger, upserts
from tests.live.prometheus import Prometheus
from tests.live.runbooks import RUNBOOKS, follow
from tests.live.scrape import scrape
from tests.live.test_broken_accounts import ALARMS
from tests.live.test_replica import items
from tests.small_disk import SmallDisk

from kae.deploy.brokers import ApacheKafka, free_port
from kae.deploy.cluster import Cluster
from kae.encoders.items import Item

WORKER = "one"
# Of 256 reserved slots it leaves less than a tenth.
CAMPAIGN_WORDS = 235
# More than a worker indexes, in small batches, before it looks at its lag.
BACKLOG = 16_000


@pytest.fixture
def pace(tmp_path: Path) -> dict[str, object]:
    return {
        **QUICK,
        "worker.batch_events": 10,
        "limits.lag_seconds": 2.0,
        "worker.listen": f"127.0.0.1:{free_port()}",
        "replica.listen": f"127.0.0.1:{free_port()}",
        "replica.fresh_within_seconds": 1.0,
        "stores.write_buffer_bytes": 1 << 18,
        "snapshots.url": str(tmp_path / "archive"),
        "snapshots.every_seconds": 1.0,
    }


@dataclass(frozen=True, slots=True)
class Scene:
    """A line that runs, and what accidents happen to."""

    kafka: ApacheKafka
    cluster: Cluster
    ledger: Ledger
    catalog: list[Item]
    disk: SmallDisk
    archive: Path

    def update(self, revision: int) -> None:
        """Change every shard."""
        self.ledger.publish(upserts(self.catalog, revision))

    def follow_the_runbook(self, alarm: str) -> None:
        follow(self.cluster, alarm)


@contextmanager
def killed_worker(scene: Scene) -> Iterator[None]:
    scene.cluster.workers[WORKER].kill()
    yield
    scene.follow_the_runbook("KaeShardsUnheld")
    scene.cluster.start_worker(WORKER)


@contextmanager
def paused_shard(scene: Scene) -> Iterator[None]:
    kae(scene.cluster, "shard", "pause", "3", "--reason", "a test", "--yes")
    yield
    scene.follow_the_runbook("KaeShardPausedForLong")


@contextmanager
def events_deleted_unread(scene: Scene) -> Iterator[None]:
    kae(scene.cluster, "shard", "pause", "3", "--reason", "a test", "--yes")
    scene.update(4)
    place = TopicPartition(scene.cluster.topology.items_topic, 3)
    admin = KafkaAdminClient(bootstrap_servers=scene.cluster.topology.kafka.bootstrap)
    admin.delete_records({place: scene.ledger.ends()[3] - 1})
    admin.close()
    yield
    scene.follow_the_runbook("KaeShardStopped")
    scene.update(5)  # so that shard 3 has the same as the others


@contextmanager
def undecodable_event(scene: Scene) -> Iterator[None]:
    good = upserts(scene.catalog[:1], 9)[0]
    value = good.value or b""
    scene.ledger.publish([Event(good.key, value.replace(b'"revision":9', b'"revision":-9'))])
    yield
    (letter,) = told(scene.cluster, "dead-letters", "list")["letters"]
    repaired = b'{"letter":"%s","event":%s}\n' % (letter["letter"].encode(), value)
    (scene.cluster.folder / "repaired.jsonl").write_bytes(repaired)
    scene.follow_the_runbook("KaeDeadLettersRising")
    assert told(scene.cluster, "dead-letters", "list")["letters_found"] == 0


@contextmanager
def wide_campaign(scene: Scene) -> Iterator[None]:
    selector = {"items": [scene.catalog[0].id]}
    words = [
        {"word": f"springword{n}", "selector": selector, "category": "entity"}
        for n in range(CAMPAIGN_WORDS)
    ]
    file = scene.cluster.folder / "spring.json"
    file.write_text(json.dumps(words))
    kae(scene.cluster, "campaign", "bind", "spring", str(file))
    yield
    scene.follow_the_runbook("KaeSlotsRunningOut")


@contextmanager
def archive_that_is_no_folder(scene: Scene) -> Iterator[None]:
    aside = scene.archive.with_name("aside")
    scene.archive.rename(aside)
    scene.archive.touch()
    scene.update(2)
    yield
    scene.archive.unlink()
    shutil.move(aside, scene.archive)
    scene.follow_the_runbook("KaeSnapshotsFail")


@contextmanager
def full_disk(scene: Scene) -> Iterator[None]:
    scene.disk.fill()
    scene.update(3)
    yield
    scene.disk.free()


@contextmanager
def broker_that_hangs_amid_a_backlog(scene: Scene) -> Iterator[None]:
    scene.cluster.workers[WORKER].terminate()
    revisions = range(10, 10 + BACKLOG // len(scene.catalog))
    scene.ledger.publish([event for n in revisions for event in upserts(scene.catalog, n)])
    scene.cluster.start_worker(WORKER)
    url = scene.cluster.worker_url(WORKER)
    wait_for(lambda: scrape(url).total("kae_worker_shard_lag_events") > 0, "a look at the backlog")
    scene.kafka.pause()
    try:
        yield
    finally:
        scene.kafka.resume()


ACCIDENTS: dict[tuple[str, ...], Callable[[Scene], AbstractContextManager[None]]] = {
    ("KaeShardsUnheld",): killed_worker,
    ("KaeShardPausedForLong",): paused_shard,
    ("KaeShardStopped",): events_deleted_unread,
    ("KaeDeadLettersRising",): undecodable_event,
    ("KaeSlotsRunningOut",): wide_campaign,
    ("KaeSnapshotsFail", "KaeSnapshotOld"): archive_that_is_no_folder,
    ("KaeDiskFull", "KaeDiskFillingUp"): full_disk,
    (
        "KaeReplicaStale",
        "KaeWorkerNotProgressing",
        "KaeLagBeyondLimit",
    ): broker_that_hangs_amid_a_backlog,
}


@pytest.mark.timeout(300)
def test_an_alarm_rings_when_its_condition_is_caused_and_its_runbook_ends_it(
    kafka: ApacheKafka, cluster: Cluster, ledger: Ledger, catalog: list[Item], tmp_path: Path
) -> None:
    topology = cluster.topology
    targets = {"workers": str(topology.worker.listen), "replicas": topology.replica.listen}
    with (
        SmallDisk(tmp_path / "disk", megabytes=100) as disk,
        Prometheus(tmp_path / "prometheus", targets) as prometheus,
    ):
        (cluster.folder / WORKER).symlink_to(disk.folder)
        replica = cluster.start_replica("replica-1", topology.replica.listen, wait=False)
        cluster.start_worker(WORKER, wait=False)
        cluster.wait_ready()
        scene = Scene(kafka, cluster, ledger, catalog[:200], disk, tmp_path / "archive")
        scene.update(1)
        wait_for(lambda: items(replica) == len(scene.catalog), "the items")
        for alarms, accident in ACCIDENTS.items():
            for alarm in alarms:
                prometheus.wait_until_it_is_over(alarm)
            with accident(scene):
                for alarm in alarms:
                    prometheus.wait_until_it_rings(alarm)
            for alarm in alarms:
                prometheus.wait_until_it_is_over(alarm)


def test_the_table_of_runbooks_says_which_were_tried() -> None:
    tried = {alarm for alarms in (*ACCIDENTS, ALARMS) for alarm in alarms}
    rows = [line for line in RUNBOOKS.read_text().splitlines() if line.startswith("| [Kae")]
    assert {row.split("]")[0].removeprefix("| [") for row in rows if "| yes:" in row} == tried
