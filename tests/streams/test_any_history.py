"""Whatever happens to a line over Apache Kafka, and in whichever order, ends as the oracle says."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient
from tests.sinks.any_history import NewLog, run

from kae.deploy.brokers import ApacheKafka
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.streams.kafka.log import KafkaClients


@pytest.mark.timeout(300)
def test_any_history_on_kafka_ends_as_the_oracle_says(
    codebook: Codebook, catalog: list[Item], kafka_logs: NewLog
) -> None:
    run(kafka_logs, codebook, catalog, examples=12, steps=30)


@pytest.fixture
def kafka_logs(kafka: ApacheKafka) -> Iterator[NewLog]:
    """Each call gives a partition that was never used."""
    topic = f"any-history-{uuid4()}"
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    admin.create_topics({topic: {"num_partitions": 128, "replication_factor": 1}})
    admin.wait_for_topics([topic])
    admin.close()
    clients = KafkaClients(kafka.bootstrap, "test", timeout_seconds=30, max_bytes=1 << 20)
    unused = iter(range(128))
    yield lambda: clients.log(topic, next(unused))
    clients.close()
