"""Replicas as processes, on Apache Kafka."""

import time
from collections.abc import Callable

import httpx
import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from tests.fetching import fetch
from tests.live.ledger import Ledger, upserts

from kae.deploy.brokers import ApacheKafka
from kae.deploy.cluster import Cluster, ReplicaProcess
from kae.encoders.items import Item

TERM = ("term", "bind", "quietcore", "--where", 'brand = "hp"', "--json")


def get(replica: ReplicaProcess, path: str) -> httpx.Response:
    return fetch(f"{replica.url}{path}")


def wait_until(holds: Callable[[], bool], within_seconds: float = 20.0) -> None:
    deadline = time.monotonic() + within_seconds
    while not holds():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def items(replica: ReplicaProcess) -> int:
    count: int = get(replica, "/status").json()["items"]
    return count


def hashes(replica: ReplicaProcess) -> list[str]:
    return [shard["hash"] for shard in get(replica, "/status?hash=1").json()["shards"]]


def test_replicas_apply_a_term_and_prove_it(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    first = cluster.start_replica("replica-1", wait=False)
    second = cluster.start_replica("replica-2", wait=False)
    cluster.start_worker("worker-1", wait=False)
    cluster.wait_ready()
    cluster.wait_ready()
    ledger.publish(upserts(catalog[:500]))
    wait_until(lambda: items(first) == items(second) == 500)
    assert get(first, "/search?q=quietcore").json()["items"] == []

    bound = cluster.command("bind", *TERM, "--replica", first.url)
    assert bound.wait(30) == 0
    stages = {stage["stage"]: stage for stage in bound.report()["stages"]}
    assert stages["attached"]["of"] == cluster.topology.shards
    assert stages["applied"]["of"] == 2
    assert all(stage["done"] for stage in stages.values())
    found = get(first, "/search?q=quietcore").json()["items"]
    assert found
    assert found == get(second, "/search?q=quietcore").json()["items"]

    second.process.kill()
    wait_until(
        lambda: [r["live"] for r in get(first, "/status").json()["replicas"]].count(True) == 1
    )
    again = cluster.start_replica("replica-2")
    assert hashes(again) == hashes(first)
    verified = cluster.command("verify", "log", "verify", "--json", "--replica", again.url)
    assert verified.wait(30) == 0
    assert verified.report()["equal"] is True

    for replica in (first, again):
        replica.process.terminate()
        assert replica.process.returncode == 0


def test_a_log_that_lost_its_beginning_ends_a_replica_with_the_remedy(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    worker = cluster.start_worker("worker-1")
    ledger.publish(upserts(catalog[:200]))
    replica = cluster.start_replica("replica-1")
    wait_until(lambda: items(replica) == 200)
    worker.terminate()
    admin = KafkaAdminClient(bootstrap_servers=cluster.broker.bootstrap)
    admin.delete_records({TopicPartition(cluster.topology.deltas_topic, 0): 2})
    admin.close()
    late = cluster.start_replica("replica-2", wait=False)
    assert late.process.wait(30) == 1
    assert "Start from a snapshot" in late.process.output()
    # Who has read it before goes on.
    assert get(replica, "/readyz").status_code == 200


@pytest.mark.parametrize(
    ("topic", "cause"),
    [
        ("deltas", "records that kae did not write"),
        ("bindings", "records that kae did not write"),
        ("replicas", "a record that is not a lease"),
    ],
)
def test_a_record_that_kae_did_not_write_ends_a_replica(
    cluster: Cluster, topic: str, cause: str
) -> None:
    replica = cluster.start_replica("replica-1")
    name: str = getattr(cluster.topology, f"{topic}_topic")
    producer = KafkaProducer(bootstrap_servers=cluster.broker.bootstrap)
    producer.send(name, key=b"x", value=b"not kae's", partition=0).get(timeout=10)
    producer.close()
    assert replica.process.wait(20) == 1
    assert cause in replica.process.output()


def test_a_silent_broker_makes_a_replica_unready_and_not_wrong(
    cluster: Cluster, kafka: ApacheKafka, ledger: Ledger, catalog: list[Item]
) -> None:
    cluster.start_worker("worker-1")
    ledger.publish(upserts(catalog[:200]))
    replica = cluster.start_replica("replica-1")
    wait_until(lambda: items(replica) == 200)
    kafka.pause()
    try:
        wait_until(lambda: get(replica, "/readyz").status_code == 503, within_seconds=10)
        assert get(replica, "/livez").status_code == 200
        assert get(replica, "/search?q=hp").json()["items"]
    finally:
        kafka.resume()
    wait_until(lambda: get(replica, "/readyz").status_code == 200, within_seconds=30)


def test_a_replica_that_is_asked_to_end_beside_a_silent_broker_ends(
    cluster: Cluster, kafka: ApacheKafka
) -> None:
    replica = cluster.start_replica("replica-1")
    kafka.pause()
    try:
        wait_until(lambda: get(replica, "/readyz").status_code == 503, within_seconds=10)
        replica.process.terminate()
    finally:
        kafka.resume()
    assert replica.process.returncode == 0
