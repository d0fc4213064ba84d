"""A replica follows the logs of an earlier release, and `kae log verify` is content with them."""

from functools import partial
from pathlib import Path

import pytest
from kafka import KafkaProducer
from tests.live.conftest import QUICK
from tests.live.killer import wait_for
from tests.live.test_snapshots import hashes
from tests.sinks.test_written import FACTS, WRITTEN, records

from kae.deploy.cluster import Cluster, ReplicaProcess


@pytest.fixture
def pace() -> dict[str, object]:
    return {**QUICK, "shards": 1}


@pytest.fixture
def codebook_folder() -> Path:
    return WRITTEN / "codebook"


def append(cluster: Cluster, topic: str, payloads: list[bytes]) -> None:
    producer = KafkaProducer(bootstrap_servers=cluster.topology.kafka.bootstrap, acks="all")
    for payload in payloads:
        producer.send(topic, value=payload, partition=0)
    producer.flush()
    producer.close()


def has_all(replica: ReplicaProcess) -> bool:
    return hashes(replica) == [FACTS["hash"]]


def test_the_logs_of_an_earlier_release_are_followed_and_verified(cluster: Cluster) -> None:
    append(cluster, cluster.topology.bindings_topic, records("bindings.msgpack"))
    append(cluster, cluster.topology.deltas_topic, records("deltas.msgpack"))
    replica = cluster.start_replica("replica")
    wait_for(partial(has_all, replica), "the replica to hold what the earlier release wrote")

    verified = cluster.command("verify", "log", "verify", "--json", "--replica", replica.url)
    assert verified.wait(60) == 0, verified.output()
    (shard,) = verified.report()["shards"]
    assert (shard["equal"], shard["hash"]) == (True, FACTS["hash"])
    assert {name: shard["counts"][name] for name in FACTS["counts"]} == FACTS["counts"]
