"""Topics on Apache Kafka, and an ingest that is killed on the way."""

import json
import signal
import subprocess
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from tests.icecat import CATALOG
from tests.live.killer import wait_for

from kae.deploy.brokers import ApacheKafka
from kae.deploy.processes import kae_command
from kae.streams.errors import KafkaUnreachable, TopicDiffers
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.topics import TopicChange, apply_topics, check_topics
from kae.streams.topology.types import Topology

ITEMS = 3000


@pytest.fixture
def topology(kafka: ApacheKafka, tmp_path: Path) -> Topology:
    changes = {"kafka.bootstrap": kafka.bootstrap, "topics.prefix": tmp_path.name}
    return Topology.load().edited(changes).write(tmp_path / "topology.yaml")


def test_applying_topics_creates_them_once(topology: Topology) -> None:
    with pytest.raises(TopicDiffers, match="kae topics apply"):
        check_topics(topology)
    assert {topic.outcome for topic in apply_topics(topology, dry_run=True)} == {
        TopicChange.CREATED
    }
    with pytest.raises(TopicDiffers):
        check_topics(topology)
    assert {topic.outcome for topic in apply_topics(topology)} == {TopicChange.CREATED}
    check_topics(topology)
    assert {topic.outcome for topic in apply_topics(topology)} == {TopicChange.UNCHANGED}


def test_other_shards_are_refused_before_anything_changes(topology: Topology) -> None:
    apply_topics(topology)
    wider = topology.edited({"shards": 9, "generation": 2})
    with pytest.raises(TopicDiffers, match=r"has 8 partitions and .* asks for 9"):
        apply_topics(wider)
    with pytest.raises(TopicDiffers):
        check_topics(topology.edited({"generation": 2}))


@pytest.mark.parametrize("log", ["deltas", "bindings"])
@pytest.mark.parametrize("setting", [("retention.ms", "3600000"), ("cleanup.policy", "compact")])
def test_a_log_that_would_be_forgotten_is_refused_with_the_remedy(
    log: str, setting: tuple[str, str], topology: Topology
) -> None:
    apply_topics(topology)
    name: str = getattr(topology, f"{log}_topic")
    admin = KafkaAdminClient(bootstrap_servers=topology.kafka.bootstrap)
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, dict([setting]))])
    admin.close()
    wait_for(lambda: refusal(topology), "the broker to tell the setting")
    assert f"{name} would delete records of a log: {setting[0]}" in refusal(topology)
    assert "kae topics apply" in refusal(topology)
    apply_topics(topology)
    wait_for(lambda: not refusal(topology), "the broker to tell the corrected one")


def refusal(topology: Topology) -> str:
    """Why the topics are refused; empty if they are not."""
    try:
        check_topics(topology)
    except TopicDiffers as error:
        return str(error)
    return ""


def test_a_broker_that_is_not_there_is_named(topology: Topology) -> None:
    with pytest.raises(KafkaUnreachable, match=r"127\.0\.0\.1:9"):
        check_topics(topology.edited({"kafka.bootstrap": "127.0.0.1:9"}))


def test_a_killed_ingest_goes_on_where_it_was_acknowledged(
    topology: Topology, tmp_path: Path
) -> None:
    apply_topics(topology)
    arguments = ["catalog", "ingest", *map(str, CATALOG), "--limit", str(ITEMS), "--json"]
    command = kae_command(*arguments, "--topology", str(topology.path))
    first = subprocess.Popen([*command, "--rate", "600"], cwd=tmp_path)
    wait_for(lambda: len(ids_in(topology)) > ITEMS // 4, "a part of the catalog")
    first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    before = ids_in(topology)
    assert len(before) < ITEMS
    second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    report = json.loads(second.stdout.splitlines()[-1])
    assert report["published"] == ITEMS
    assert 0 < report["resumed_rows"] <= len(before)
    assert len(ids_in(topology)) == ITEMS


def test_the_bounds_of_all_partitions_are_told_whichever_leaders_the_client_knows(
    topology: Topology,
) -> None:
    apply_topics(topology)
    known = [TopicPartition(topology.items_topic, 0)]
    both = [*known, TopicPartition(topology.bindings_topic, 0)]
    with KafkaClients.for_reading(topology, "test") as clients:
        consumer = clients.consumer()
        assert consumer.end_offsets(known) == {known[0]: 0}
        assert consumer.end_offsets(both) == dict.fromkeys(both, 0)
        consumer.close()
        consumer = clients.consumer()
        assert consumer.beginning_offsets(known) == {known[0]: 0}
        assert consumer.beginning_offsets(both) == dict.fromkeys(both, 0)
        consumer.close()


def ids_in(topology: Topology) -> set[bytes]:
    """The keys of the items topic."""
    consumer = KafkaConsumer(bootstrap_servers=topology.kafka.bootstrap, group_id=None)
    places = [TopicPartition(topology.items_topic, shard) for shard in range(topology.shards)]
    consumer.assign(places)
    consumer.seek_to_beginning()
    wanted = sum(consumer.end_offsets(places).values())
    found: list[bytes] = []
    while len(found) < wanted:
        for records in consumer.poll(500).values():
            found += [record.key for record in records]
    consumer.close()
    return set(found)
