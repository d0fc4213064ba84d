"""Snapshots of a line that runs: taken beside the stream, begun from, broken, and pruned."""

import json
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from tests.fetching import fetch
from tests.icecat import catalog_items
from tests.live.asking import kae, told
from tests.live.killer import Killer, wait_for
from tests.live.ledger import Ledger, bind, storm, upserts
from tests.live.proof import prove
from tests.live.scrape import scrape
from tests.live.streaming import Stream

from kae.deploy.cluster import Cluster, ReplicaProcess
from kae.encoders.items import Item
from kae.streams.clock import now_ms, rfc3339
from kae.streams.runtime import failpoints

pytestmark = pytest.mark.long
TERMS = [bind("zorblax", match="black"), bind("quietcore", where='brand = "hp"')]
SHARDS = range(8)


@pytest.fixture
def pace(pace: dict[str, object], tmp_path: Path) -> dict[str, object]:
    return {
        **pace,
        "snapshots.url": str(tmp_path / "archive"),
        "snapshots.keep": 2,
        "snapshots.grace_seconds": 0.0,
    }


def shown(replica: ReplicaProcess, query: str = "") -> list[dict[str, Any]]:
    answer = fetch(f"{replica.url}/status{query}")
    shards: list[dict[str, Any]] = answer.raise_for_status().json()["shards"]
    return shards


def hashes(replica: ReplicaProcess) -> list[str]:
    return [one["hash"] for one in shown(replica, "?hash=1")]


def is_whole(replica: ReplicaProcess, term: str) -> bool:
    """Whether a term has come all the way."""
    answer = fetch(f"{replica.url}/receipts/{term}")
    return all(one["done"] for one in answer.raise_for_status().json()["stages"])


def read(replica: ReplicaProcess) -> int:
    return sum(one["counts"]["read"] for one in shown(replica))


def snapshots(cluster: Cluster, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = told(cluster, "snapshot", *arguments, code=code)["snapshots"]
    return found


def flip(path: Path) -> None:
    """Alter one byte in the midst of a file."""
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


def trim(cluster: Cluster) -> dict[int, int]:
    """Two snapshots of each shard, and the logs cut below the older; where they begin now."""
    snapshots(cluster, "create")
    snapshots(cluster, "create")
    seen = told(cluster, "snapshot", "prune", "--dry-run")
    assert set(log_begins(cluster).values()) == {0}
    done = told(cluster, "snapshot", "prune", "--yes")
    begins = log_begins(cluster)
    assert begins == {one["shard"]: one["log_to"] for one in done["shards"]}
    assert [one["log_to"] for one in seen["shards"]] == list(begins.values())
    assert min(begins.values()) > 0
    return begins


def log_begins(cluster: Cluster) -> dict[int, int]:
    places = {TopicPartition(cluster.topology.deltas_topic, n): n for n in SHARDS}
    consumer = KafkaConsumer(bootstrap_servers=cluster.topology.kafka.bootstrap, group_id=None)
    begins = consumer.beginning_offsets(list(places))
    consumer.close()
    return {number: begins[place] for place, number in places.items()}


def test_snapshots_are_asked_for_listed_and_verified_while_a_stream_goes_on(
    cluster: Cluster, ledger: Ledger, tmp_path: Path
) -> None:
    replica = cluster.start_replica("replica", wait=False)
    cluster.start_worker("one", wait=False)
    cluster.wait_ready()
    ledger.publish(TERMS)
    stream = Stream(ledger, storm(catalog_items(6000), seed=3))
    wait_for(lambda: read(replica) > 1000, "a part of the stream")
    first = snapshots(cluster, "create", "--shard", "2", "--shard", "5")
    assert [(one["shard"], one["outcome"]) for one in first] == [(2, "done"), (5, "done")]
    everyone = snapshots(cluster, "create")
    assert [one["outcome"] for one in everyone] == ["done"] * 8
    stream.end()
    listed = snapshots(cluster, "list", "--shard", "5")
    assert listed[0]["version"] == everyone[5]["version"] > first[1]["version"]
    assert not any(one["broken"] for one in snapshots(cluster, "verify"))
    told_by_worker = scrape(cluster.worker_url("one"))
    assert told_by_worker.total("kae_worker_snapshots_total") >= 10
    assert told_by_worker.total("kae_worker_snapshots_failed_total") == 0
    prove(cluster, ledger, tmp_path)


def test_the_cadence_takes_a_snapshot_of_each_shard_that_has_changed(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    cluster.start_worker("one")
    ledger.publish(upserts(catalog[:400]))
    wait_for(
        lambda: {one["shard"] for one in snapshots(cluster, "list")} == set(SHARDS), "the snapshots"
    )


@pytest.mark.timeout(240)
@pytest.mark.parametrize("step", [failpoints.SNAPSHOT_SENT, failpoints.SNAPSHOT_TAKEN])
def test_a_worker_killed_amid_an_upload_is_followed_by_one_that_begins_with_a_snapshot(
    step: str, cluster: Cluster, ledger: Ledger, killer: Killer, tmp_path: Path
) -> None:
    replica = cluster.start_replica("replica", wait=False)
    cluster.start_worker("one", killer.env, wait=False)
    cluster.wait_ready()
    ledger.publish(TERMS)
    stream = Stream(ledger, storm(catalog_items(6000), seed=4))
    wait_for(lambda: read(replica) > 1000, "a part of the stream")
    begins = trim(cluster)
    killer.arm(step)
    unheard = cluster.command("ask", "snapshot", "create", "--timeout", "20")
    assert killer.killed(step) == "one"
    other = cluster.start_worker("two")
    stream.end()
    begun = {event["shard"] for event in other.events("snapshot_begun_with")}
    assert begun == set(SHARDS)
    assert all(begins.values())
    unheard.wait(60)
    again = cluster.start_replica("again")
    expected = [ledger.hash(number) for number in SHARDS]
    wait_for(lambda: hashes(again) == expected, "a replica that began with snapshots", 120)
    assert [one["counts"] for one in shown(again)] == [one["counts"] for one in shown(replica)]
    for term in ("zorblax", "quietcore"):
        wait_for(partial(is_whole, again, term), f"the receipt of {term}")
    verified = told(cluster, "log", "verify", "--replica", again.url)
    assert verified["equal"] is True


def test_a_flipped_byte_is_named_and_the_snapshot_before_is_begun_with(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    replica = cluster.start_replica("replica", wait=False)
    worker = cluster.start_worker("one", wait=False)
    cluster.wait_ready()
    ledger.publish(upserts(catalog[:600]))
    wait_for(lambda: read(replica) == 600, "the items")
    snapshots(cluster, "create", "--shard", "3")
    ledger.publish(upserts(catalog[600:1200]))
    wait_for(lambda: read(replica) == 1200, "more items")
    snapshots(cluster, "create", "--shard", "3")
    newest, before = snapshots(cluster, "list", "--shard", "3")[:2]
    folder = Path(str(cluster.topology.snapshots.url), f"{cluster.topology.deltas_topic}/3")
    tables = {
        file["blake2b"]: file["name"]
        for file in json.loads((folder / "manifests" / newest["manifest"]).read_text())["files"]
        if file["name"].endswith(".sst")
    }
    older = (folder / "manifests" / before["manifest"]).read_text()
    (digest, name), *_ = [(d, n) for d, n in tables.items() if d not in older]
    flip(folder / "blobs" / digest)
    worker.terminate()
    told_so = kae(cluster, "snapshot", "verify", "--shard", "3", code=1).stderr
    assert f"file {name} was altered" in told_so
    other = cluster.start_worker("two")
    (passed,) = [e for e in other.events("store_passed_over") if e["shard"] == 3]
    assert f"file {name} was altered" in passed["cause"]
    (begun,) = [e for e in other.events("snapshot_begun_with") if e["shard"] == 3]
    assert f"version {before['version']} of" in begun["snapshot"]
    again = cluster.start_replica("again")
    wait_for(lambda: read(again) == 1200, "a replica that passes it over too")
    assert f"file {name} was altered" in again.process.output()
    assert hashes(again) == [ledger.hash(n) for n in SHARDS]


def test_a_trimmed_log_that_no_snapshot_reaches_is_an_error_with_its_remedy(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    replica = cluster.start_replica("replica", wait=False)
    worker = cluster.start_worker("one", wait=False)
    cluster.wait_ready()
    ledger.publish(upserts(catalog[:400]))
    wait_for(lambda: read(replica) == 400, "the items")
    before = now_ms()
    trim(cluster)
    item = catalog[7]
    explain = ("item", "explain", item.id, "--at")
    then = told(cluster, *explain, rfc3339(now_ms()))
    assert (then["live"], then["title"], then["since"]) == (True, item.title, None)
    too_early = kae(cluster, *explain, rfc3339(before - 3_600_000), code=1).stderr
    assert "the log was trimmed, and no snapshot from before that time" in too_early
    worker.terminate()
    shutil.rmtree(str(cluster.topology.snapshots.url))
    late = cluster.start_replica("late", wait=False).process
    assert late.wait(60) == 1
    assert "snapshot" in late.output()
    assert "backfill a new generation" in late.output()
    # A worker goes on without those shards, and says so once.
    two = cluster.start_worker("two", wait=False)
    wait_for(lambda: len(list(two.events("shard_lost"))) == 8, "all shards to be refused", 60)
    wait_for(lambda: list(two.events("worker_ready")), "the worker to go on", 60)
    time.sleep(2 * cluster.topology.worker.session_timeout_seconds)
    lost = {event["shard"]: event["cause"] for event in two.events("shard_lost")}
    assert sorted(lost) == list(range(8))
    assert len(list(two.events("shard_lost"))) == 8
    assert all("there is no snapshot. Bring back a snapshot" in cause for cause in lost.values())
    assert all("backfill a new generation" in cause for cause in lost.values())
    told_so = fetch(f"{cluster.worker_url('two')}/readyz")
    assert told_so.status_code == 503
    assert told_so.json()["reasons"] == [f"shard {n}: {lost[n]}" for n in sorted(lost)]
    assert two.running
    assert read(replica) == 400
