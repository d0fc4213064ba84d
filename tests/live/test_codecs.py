"""Producers and topics compress as they like: workers, replicas and commands read all of it."""

import pytest
from kafka import KafkaAdminClient, KafkaProducer, codec
from kafka.admin import ConfigResource, ConfigResourceType
from tests.live.asking import told
from tests.live.ledger import Event, upserts
from tests.live.test_replica import items, wait_until

from kae.deploy.cluster import Cluster
from kae.encoders.items import Item
from kae.streams.errors import NotInstalled
from kae.streams.kafka.codecs import KAFKA_PYTHON, check_codecs

CODECS = ("gzip", "snappy", "lz4", "zstd")


def publish(cluster: Cluster, compressed_with: str, events: list[Event]) -> None:
    producer = KafkaProducer(
        bootstrap_servers=cluster.topology.kafka.bootstrap,
        compression_type=compressed_with,
        linger_ms=20,
    )
    for event in events:
        producer.send(cluster.topology.items_topic, key=event.key, value=event.value)
    producer.flush()
    producer.close()


def test_events_of_every_codec_are_indexed_and_shown(cluster: Cluster, catalog: list[Item]) -> None:
    topology = cluster.topology
    admin = KafkaAdminClient(bootstrap_servers=cluster.broker.bootstrap)
    # The broker compresses what workers and replicas write there.
    compressed = {
        topology.deltas_topic: "zstd",
        topology.bindings_topic: "snappy",
        topology.control_topic: "lz4",
        topology.dead_letters_topic: "lz4",
        topology.replicas_topic: "gzip",
    }
    admin.alter_configs(
        [
            ConfigResource(ConfigResourceType.TOPIC, name, {"compression.type": kind})
            for name, kind in compressed.items()
        ]
    )
    admin.close()
    cluster.start_worker("one", wait=False)
    replica = cluster.start_replica("replica-1", wait=False)
    cluster.wait_ready()
    for place, kind in enumerate(CODECS):
        publish(cluster, kind, upserts(catalog[place * 50 : (place + 1) * 50]))
        publish(cluster, kind, [Event(b"bad", b'{"specversion": "1.0"')])
        wait_until(lambda expected=(place + 1) * 50: items(replica) == expected)  # type: ignore[misc]
    listed = told(cluster, "dead-letters", "list")
    assert listed["letters_found"] == len(CODECS)
    assert told(cluster, "status", "--replica", replica.url)["counts"]["read"] == 204
    cluster.check()


@pytest.mark.parametrize(("lost", "package"), KAFKA_PYTHON.items())
def test_a_codec_that_is_not_installed_is_named_before_anything_is_read(
    lost: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_codecs(faust=True)
    monkeypatch.setattr(codec, {"zstd": "zstd"}.get(lost, lost), None)
    with pytest.raises(NotInstalled, match=f"{package}: not installed, so events compressed with"):
        check_codecs()
