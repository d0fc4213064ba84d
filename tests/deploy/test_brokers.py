import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from kae.deploy.brokers import (
    START_SCRIPT,
    ApacheKafka,
    Broker,
    BrokerUnavailable,
    EmbeddedBroker,
    free_port,
)

TOPIC = "kae.items"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    with ApacheKafka(tmp_path_factory.mktemp("kafka")) as broker:
        create_topic(broker)
        yield broker


def create_topic(broker: Broker) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.create_topics([NewTopic(TOPIC, 2, 1, topic_configs={"retention.ms": "-1"})])
    admin.close()


def produce(broker: Broker, values: list[bytes]) -> list[int]:
    producer = KafkaProducer(
        bootstrap_servers=broker.bootstrap, acks="all", enable_idempotence=True
    )
    sent = [producer.send(TOPIC, value, partition=1) for value in values]
    producer.flush()
    producer.close()
    return [future.get(timeout=10).offset for future in sent]


def read(broker: Broker, offset: int, records: int) -> list[bytes]:
    """What stands from that offset on, found without asking for the end."""
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, enable_auto_commit=False)
    partition = TopicPartition(TOPIC, 1)
    consumer.assign([partition])
    consumer.seek(partition, offset)
    values: list[bytes] = []
    deadline = time.monotonic() + 60
    while len(values) < records and time.monotonic() < deadline:
        for batch in consumer.poll(timeout_ms=200).values():
            values += [record.value for record in batch]
    consumer.close()
    return values


def test_the_embedded_broker_gives_back_what_it_acknowledged(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        create_topic(broker)
        assert produce(broker, [b"a", b"b", b"c"]) == [0, 1, 2]
        assert read(broker, offset=1, records=2) == [b"b", b"c"]
    assert not broker.process.running


def test_apache_kafka_keeps_its_data_through_a_restart_and_a_kill(kafka: ApacheKafka) -> None:
    [first] = produce(kafka, [b"before the restart"])
    kafka.restart()
    assert produce(kafka, [b"before the kill"]) == [first + 1]
    kafka.kill()
    kafka.start()
    assert read(kafka, first, records=2) == [b"before the restart", b"before the kill"]


def test_a_paused_broker_goes_on_where_it_was(kafka: ApacheKafka) -> None:
    kafka.pause()
    time.sleep(0.3)
    assert kafka.process.running
    kafka.resume()
    [offset] = produce(kafka, [b"after the pause"])
    assert read(kafka, offset, records=1) == [b"after the pause"]


def test_apache_kafka_listens_on_loopback_only(kafka: ApacheKafka) -> None:
    settings = (kafka.data / "server.properties").read_text().splitlines()
    listeners = next(line for line in settings if line.startswith("listeners="))
    addresses = [listener.partition("://")[2] for listener in listeners.split(",")]
    assert [address.partition(":")[0] for address in addresses] == ["127.0.0.1", "127.0.0.1"]
    assert kafka.bootstrap in addresses


def test_a_port_that_another_program_has_is_refused(kafka: ApacheKafka, tmp_path: Path) -> None:
    port = int(kafka.bootstrap.partition(":")[2])
    with pytest.raises(BrokerUnavailable, match="another program listens there"):
        ApacheKafka(tmp_path, port=port).start()


def without_maven(tmp_path: Path) -> dict[str, str]:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "java", "dirname", "sed", "head", "cut", "sha256sum"):
        found = subprocess.run(["which", name], capture_output=True, text=True, check=True)
        (programs / name).symlink_to(found.stdout.strip())
    return {**os.environ, "PATH": str(programs), "XDG_CACHE_HOME": str(tmp_path / "empty")}


@pytest.mark.kafka
def test_missing_maven_is_named_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in without_maven(tmp_path).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BrokerUnavailable, match=r"Maven \(mvn\) is missing.*Install Maven"):
        ApacheKafka(tmp_path / "data").start()


@pytest.mark.kafka
def test_the_start_script_names_a_missing_argument() -> None:
    done = subprocess.run(["bash", str(START_SCRIPT)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "start.sh: --port must be a number; see start.sh --help\n",
    )


def test_a_free_port_lies_below_those_of_outgoing_connections() -> None:
    assert all(20_000 <= free_port() < 32_000 for _ in range(20))
