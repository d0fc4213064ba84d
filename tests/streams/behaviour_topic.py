"""A behaviours topic on Apache Kafka: files for it, and what it holds."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kafka import TopicPartition

from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.reader import read_to_end
from kae.streams.topology.types import Topology


def write_lines(path: Path, rows: Sequence[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def records_of(topology: Topology, topic: str = "") -> list[Any]:
    """The records of the behaviours topic, or of another, partition by partition."""
    topic = topic or topology.behaviours_topic
    with KafkaClients.for_reading(topology, "test") as clients:
        places = {TopicPartition(topic, n): None for n in range(topology.shards)}
        found = list(read_to_end(clients, places))
    return sorted(found, key=lambda record: (record.partition, record.offset))


def send(topology: Topology, *records: tuple[str, bytes | None], partition: int = 0) -> list[int]:
    """Send keys and values to a partition of the behaviours topic; returns their offsets."""
    with KafkaClients.for_writing(topology, "test") as clients:
        futures = [
            clients.producer.send(
                topology.behaviours_topic, key=key.encode(), value=value, partition=partition
            )
            for key, value in records
        ]
        return [future.get(timeout=30).offset for future in futures]
