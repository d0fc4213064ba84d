"""Dead letters: what could not be indexed, with its cause, bytes and headers.

The record's value is the source's bytes unchanged; what is known about it are headers, so that a
replay is the value, the original key and the original headers sent again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kafka import KafkaProducer
from kafka.errors import KafkaError

from kae.sinks.log import AppendUnknown
from kae.streams.kafka_log import KafkaClients

MAX_CAUSE = 2000


class SourceRecord(Protocol):
    """A record as a Kafka consumer delivers it; `timestamp` is in milliseconds."""

    @property
    def topic(self) -> str: ...

    @property
    def partition(self) -> int: ...

    @property
    def offset(self) -> int: ...

    @property
    def timestamp(self) -> int: ...

    @property
    def key(self) -> bytes | None: ...

    @property
    def value(self) -> bytes | None: ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A source record and why it could not be carried out."""

    record: SourceRecord
    cause: str


def publish(
    clients: KafkaClients, topic: str, letters: Sequence[DeadLetter], timeout_seconds: float
) -> None:
    """Send dead letters and wait until all are stored.

    A crash before the delta that counts them sends them again, under the same key.
    Raises: AppendUnknown.
    """
    producer: KafkaProducer | None = None
    try:
        producer = clients.producer
        futures = [
            producer.send(
                topic,
                key=source_key(letter.record),
                value=letter.record.value,
                headers=_headers(letter),
            )
            for letter in letters
        ]
        producer.flush(timeout=timeout_seconds)
        for future in futures:
            future.get(timeout=timeout_seconds)
    except KafkaError as error:
        clients.renew_producer(producer)
        raise AppendUnknown(f"{topic}: dead letters were not stored: {error!r}") from error


def source_key(record: SourceRecord) -> bytes:
    """Where a dead letter came from; the same record has the same key each time."""
    return f"{record.topic}/{record.partition}/{record.offset}".encode()


def _headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    record = letter.record
    known = [
        ("kae-cause", letter.cause[:MAX_CAUSE].encode()),
        ("kae-source", source_key(record)),
        ("kae-timestamp-ms", str(record.timestamp).encode()),
    ]
    if record.key is not None:
        known.append(("kae-key", record.key))
    if record.value is None:
        known.append(("kae-tombstone", b"1"))
    return [*known, *record.headers]
