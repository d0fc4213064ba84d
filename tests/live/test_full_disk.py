"""The disk of the stores is full, and then it is not: nothing is lost, and nobody lends a hand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fetching import fetch
from tests.live.asking import told
from tests.live.conftest import QUICK, SHARDS
from tests.live.killer import wait_for
from tests.live.ledger import Ledger, bind, upserts
from tests.live.proof import prove
from tests.live.scrape import scrape
from tests.live.test_replica import get, hashes, items
from tests.small_disk import SmallDisk

from kae.deploy.cluster import Cluster
from kae.deploy.processes import logged
from kae.encoders.items import Item

pytestmark = pytest.mark.alone
SMALL_BUFFER = 1 << 18


@pytest.fixture
def pace() -> dict[str, object]:
    return {**QUICK, "stores.write_buffer_bytes": SMALL_BUFFER}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with SmallDisk(tmp_path / "disk", megabytes=100) as small:
        yield small


def readiness(cluster: Cluster, worker: str) -> tuple[int, dict[str, Any]]:
    answer = fetch(f"{cluster.worker_url(worker)}/readyz")
    return answer.status_code, answer.json()


def test_a_worker_waits_for_room_and_goes_on_by_itself(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], disk: SmallDisk, tmp_path: Path
) -> None:
    (cluster.folder / "one").symlink_to(disk.folder)
    replica = cluster.start_replica("replica-1", wait=False)
    worker = cluster.start_worker("one", wait=False)
    cluster.wait_ready()
    ledger.publish([bind("quietcore", where='brand = "hp"'), *upserts(catalog[:500])])
    wait_for(lambda: items(replica) == 500, "the first items")

    disk.fill()
    ledger.publish([*upserts(catalog[500:]), *upserts(catalog[:300], 2)])
    wait_for(
        lambda: scrape(cluster.worker_url("one")).value("kae_worker_shards") == 0,
        "every shard to be given up",
    )
    (full,) = worker.events("disk_full")
    assert full["folder"].startswith(str(cluster.folder / "one"))
    assert full["free_bytes"] < SMALL_BUFFER
    status, ready = readiness(cluster, "one")
    assert status == 503
    assert "no room on the disk" in ready["reasons"][-1]
    meters = scrape(cluster.worker_url("one"))
    assert meters.value("kae_worker_disk_full") == 1
    assert meters.value("kae_worker_shards_lost_total", cause="disk_full") == SHARDS
    # What was in flight is in the log, and the replica has it; the rest is in the items topic.
    epochs = {shard["epoch"] for shard in get(replica, "/status").json()["shards"]}

    # A worker that starts beside a full disk waits as well.
    worker.kill()
    worker = cluster.start_worker("one", wait=False)
    worker.wait_ready(logged("disk_full"))
    wait_for(lambda: readiness(cluster, "one")[0] == 503, "a worker that waits")
    assert {s["epoch"] for s in get(replica, "/status").json()["shards"]} == epochs == {1}

    disk.free()
    wait_for(lambda: readiness(cluster, "one")[0] == 200, "the shards to be held again")
    assert scrape(cluster.worker_url("one")).value("kae_worker_disk_full") == 0
    wait_for(lambda: items(replica) == len(catalog), "all items")
    assert list(worker.events("disk_has_room"))
    assert "Traceback" not in worker.log.read_text()
    prove(cluster, ledger, tmp_path)
    assert hashes(replica) == [ledger.hash(shard) for shard in range(SHARDS)]
    assert {s["epoch"] for s in get(replica, "/status").json()["shards"]} == {2}


def test_a_refold_that_finds_no_room_is_carried_out_once_there_is_some(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], disk: SmallDisk, tmp_path: Path
) -> None:
    (cluster.folder / "one").symlink_to(disk.folder)
    replica = cluster.start_replica("replica-1", wait=False)
    worker = cluster.start_worker("one", wait=False)
    cluster.wait_ready()
    ledger.publish([bind("quietcore", where='brand = "hp"'), *upserts(catalog[:500])])
    wait_for(lambda: items(replica) == 500, "the first items")

    def lost() -> float:
        meters = scrape(cluster.worker_url("one"))
        return meters.total("kae_worker_shards_lost_total", cause="disk_full")

    def refold(within: str, code: int | None) -> list[str]:
        """What became of it, once it was asked for."""
        arguments = ("shard", "refold", "4", "--yes", "--timeout", within)
        report = told(cluster, *arguments, "--replica", replica.url, code=code)
        return [answer["outcome"] for answer in report["answers"]]

    # What a refold deletes may be room enough, unless somebody else takes it.
    with disk.kept_full():
        wait_for(lambda: refold("0.5", None) and lost() > 0, "a refold without room")
    assert readiness(cluster, "one")[0] == 503
    cluster.check()
    assert list(worker.events("shard_lost"))[-1]["shard"] == 4

    disk.free()
    wait_for(lambda: readiness(cluster, "one")[0] == 200, "the shard to be held again")
    assert refold("30", 0) == ["done"]
    listed = told(cluster, "shard", "list", "--replica", replica.url)["shards"][4]
    assert listed["last"]["answer"]["outcome"] == "done"
    ledger.publish(upserts(catalog[500:]))
    prove(cluster, ledger, tmp_path)


def test_a_replica_answers_from_what_it_has_until_there_is_room(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], disk: SmallDisk
) -> None:
    (cluster.folder / "replica-1").symlink_to(disk.folder)
    replica = cluster.start_replica("replica-1", wait=False)
    cluster.start_worker("one", wait=False)
    cluster.wait_ready()
    ledger.publish([bind("quietcore", where='brand = "hp"'), *upserts(catalog[:500])])
    wait_for(lambda: items(replica) == 500, "the first items")

    disk.fill()
    ledger.publish([*upserts(catalog[500:]), *upserts(catalog[:300], 2)])
    wait_for(lambda: get(replica, "/readyz").status_code == 503, "the replica to be stale")
    reasons = get(replica, "/readyz").json()["reasons"]
    assert "no room on the disk" in reasons[-1]
    assert any("records behind" in reason for reason in reasons)
    assert scrape(replica.url).value("kae_replica_disk_full") == 1
    assert get(replica, "/search?q=quietcore").json()["items"]
    assert len(list(replica.process.events("disk_full"))) == 1

    disk.free()
    wait_for(lambda: get(replica, "/readyz").status_code == 200, "the replica to be fresh")
    wait_for(lambda: items(replica) == len(catalog), "all items")
    assert scrape(replica.url).value("kae_replica_disk_full") == 0
    assert hashes(replica) == [ledger.hash(shard) for shard in range(SHARDS)]
    verified = cluster.command("verify", "log", "verify", "--json", "--replica", replica.url)
    assert verified.wait(30) == 0
    assert verified.report()["equal"] is True
    replica.process.terminate()
    assert replica.process.returncode == 0
