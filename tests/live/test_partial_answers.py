"""What nobody can tell is said, a line each, beside what others tell; never a traceback."""

from pathlib import Path

import pytest
from kafka import KafkaAdminClient, TopicPartition
from tests.live.asking import kae, told
from tests.live.ledger import Ledger, upserts
from tests.live.test_replica import items, wait_until

from kae.deploy.brokers import free_port
from kae.deploy.cluster import Cluster
from kae.encoders.items import Item

COMMANDS = {
    "status": ("status",),
    "shards": ("shard", "list"),
    "generations": ("generation", "list"),
    "snapshots": ("snapshot", "list"),
    "dead letters": ("dead-letters", "list"),
    "terms": ("term", "list"),
    "terms then": ("term", "list", "--at", "1m"),
    "proposals": ("term", "proposals"),
    "history": ("term", "history", "x"),
    "capacity": ("term", "capacity"),
    "campaigns": ("campaign", "show", "x"),
    "log": ("log", "verify"),
    "explain": ("item", "explain", "1"),
}
LISTS = ("status", "shards", "generations", "snapshots", "dead letters", "terms")
ASK_REPLICA = {
    "status", "shards", "generations", "terms", "proposals", "capacity", "campaigns", "log",
    "explain",
}  # fmt: skip
ASK_KAFKA = {"status", "shards", "generations", "dead letters", "terms then", "history", "log"}


@pytest.fixture
def pace(pace: dict[str, object], tmp_path: Path) -> dict[str, object]:
    return {
        **pace,
        "snapshots.url": str(tmp_path / "archive"),
        "kafka.request_timeout_seconds": 3.0,
        "kafka.delivery_timeout_seconds": 3.0,
    }


def said(cluster: Cluster, name: str, *more: str) -> str:
    """All that a command says, without a traceback."""
    asked = (*COMMANDS[name], *more)
    done = kae(cluster, *asked, code=None)
    text = done.stdout + done.stderr
    assert "Traceback" not in text, text
    assert text.strip(), f"{asked} said nothing"
    return text


def test_everybody_is_away(cluster: Cluster) -> None:
    replica = ("--replica", f"http://127.0.0.1:{free_port()}")
    address = f"127.0.0.1:{free_port()}"
    cluster.topology.edited({"kafka.bootstrap": address}).write(cluster.topology.path)
    for name in COMMANDS:
        text = said(cluster, name, *(replica if name in ASK_REPLICA else ()))
        if name in ASK_KAFKA:
            assert f"Kafka does not answer ({address}" in text, text
        elif name in ASK_REPLICA:
            assert "no replica answers at" in text, text


def test_a_status_and_lists_without_a_replica_say_what_the_brokers_know(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    cluster.start_worker("one")
    away = ("--replica", f"http://127.0.0.1:{free_port()}")
    shown = told(cluster, "status", *away, code=1)
    assert (shown["items"], shown["dead_letters"]["open"], len(shown["unasked"])) == (None, 0, 1)
    listed = told(cluster, "shard", "list", *away, code=1)
    assert {one["owner"] for one in listed["shards"]} == {"one"}
    assert {one["lag_events"] for one in listed["shards"]} == {None}
    assert "not asked: no replica answers at" in said(cluster, "shards", *away)


def test_a_trimmed_items_topic_is_said_by_shard(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    replica = cluster.start_replica("replica-1")
    ledger.publish(upserts(catalog[:100]))
    admin = KafkaAdminClient(bootstrap_servers=cluster.broker.bootstrap)
    admin.delete_records({TopicPartition(cluster.topology.items_topic, 0): 2})
    admin.close()
    shown = told(cluster, "status", "--replica", replica.url)
    assert shown["lag_events"] == 100
    (stopped,) = (one for one in shown["problems"] if one.startswith("shard 0: "))
    assert f"{cluster.topology.items_topic}/0 begins at 2, the shard goes on at 0" in stopped
    listed = told(cluster, "shard", "list", "--replica", replica.url)
    assert sum(one["lag_events"] for one in listed["shards"]) == 100


def test_a_missing_topic_is_said_beside_the_rest(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    worker = cluster.start_worker("one")
    replica = cluster.start_replica("replica-1")
    ledger.publish(upserts(catalog[:50]))
    wait_until(lambda: items(replica) == 50)
    at = ("--replica", replica.url)
    worker.terminate()
    topology = cluster.topology
    admin = KafkaAdminClient(bootstrap_servers=cluster.broker.bootstrap)
    for missing in (topology.items_topic, topology.dead_letters_topic, topology.control_topic):
        admin.delete_topics([missing])
        wait_until(lambda gone=missing: gone not in admin.list_topics())  # type: ignore[misc]
        for name in LISTS:
            said(cluster, name, *(at if name in ASK_REPLICA else ()))
        shown = told(cluster, "status", *at, code=1)
        assert f"topic {missing} is missing" in " ".join(shown["unasked"])
        assert (shown["items"], shown["lag_events"]) == (50, None)
    admin.close()
