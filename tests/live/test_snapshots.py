"""Snapshots of a line that runs: taken beside the stream, begun from, broken, and pruned."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from kafka import KafkaConsumer, TopicPartition
from tests.live.asking import told
from tests.live.flow import Flow
from tests.live.ledger import Ledger, bind, storm, upserts
from tests.live.proof import prove
from tests.live.scrape import scrape
from tests.live.storm import wait_for
from tests.real_parts import catalog_items

from kae.deploy.cluster import Cluster, Replica
from kae.encoders.attributes import Item

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


def shown(replica: Replica, query: str = "") -> list[dict[str, Any]]:
    answer = httpx.get(f"{replica.url}/status{query}", timeout=10, trust_env=False)
    shards: list[dict[str, Any]] = answer.raise_for_status().json()["shards"]
    return shards


def read(replica: Replica) -> int:
    return sum(one["counts"]["read"] for one in shown(replica))


def snapshots(cluster: Cluster, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = told(cluster, "snapshot", *arguments, code=code)["snapshots"]
    return found


def log_begins(cluster: Cluster) -> dict[int, int]:
    places = {TopicPartition(cluster.topology.deltas_topic, n): n for n in SHARDS}
    consumer = KafkaConsumer(bootstrap_servers=cluster.topology.kafka.bootstrap, group_id=None)
    begins = consumer.beginning_offsets(list(places))
    consumer.close()
    return {number: begins[place] for place, number in places.items()}


def test_snapshots_are_asked_for_listed_and_verified_while_a_stream_goes_on(
    cluster: Cluster, ledger: Ledger, tmp_path: Path
) -> None:
    replica = cluster.start_replica("replica")
    cluster.start_worker("one")
    ledger.publish(TERMS)
    flow = Flow(ledger, storm(catalog_items(6000), seed=3))
    wait_for(lambda: read(replica) > 1000, "a part of the stream")
    first = snapshots(cluster, "create", "--shard", "2", "--shard", "5")
    assert [(one["shard"], one["outcome"]) for one in first] == [(2, "done"), (5, "done")]
    everyone = snapshots(cluster, "create")
    assert [one["outcome"] for one in everyone] == ["done"] * 8
    flow.end()
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
