"""The audit: the terms topic, which holds every term event that was ever sent, as rows."""

import threading
from collections.abc import Iterator
from typing import Any

import msgspec
from kafka import TopicPartition

from kae.encoders.text.normal_form import normalise
from kae.streams import clock
from kae.streams.dead_letters.index import patient_polls
from kae.streams.events.cloudevents import read_event
from kae.streams.kafka.log import KafkaClients
from kae.streams.topology.types import Topology

ROWS = 100


class AuditRow(msgspec.Struct, frozen=True):
    """One record of the terms topic; `term` is normalised, empty where the record is no event."""

    offset: int
    at: str
    term: str
    word: str
    type: str
    source: str
    revision: int
    by: str
    owner: str
    reason: str


class _Named(msgspec.Struct, frozen=True):
    """What rows tell of an event's data, whichever its type."""

    revision: int = -1
    by: str = ""
    owner: str = ""
    reason: str = ""


class Audit:
    """The topic, read on whenever it is asked."""

    def __init__(self, topology: Topology, clients: KafkaClients) -> None:
        self._place = TopicPartition(topology.terms_topic, 0)
        self._clients = clients
        self._rows: list[AuditRow] = []
        self._next: int | None = None
        self._lock = threading.Lock()

    def rows(self, term: str = "", before: int | None = None, limit: int = ROWS) -> list[AuditRow]:
        """The newest rows first, of one normalised term if it is given.

        Raises: KafkaUnreachable.
        """
        found = (
            row
            for row in reversed(self._read_on())
            if (not term or row.term == term) and (before is None or row.offset < before)
        )
        return [row for row, _ in zip(found, range(limit), strict=False)]

    def _read_on(self) -> list[AuditRow]:
        with self._lock:
            self._rows += self._news()
            return self._rows

    def _news(self) -> Iterator[AuditRow]:
        with self._clients.borrowed_consumer() as consumer:
            end = consumer.end_offsets([self._place])[self._place]
            if self._next is None:
                self._next = consumer.beginning_offsets([self._place])[self._place]
            if self._next >= end:
                return
            consumer.assign([self._place])
            consumer.seek(self._place, self._next)
            polls = patient_polls(consumer, self._place.topic)
            while self._next < end:
                for record in next(polls):
                    self._next = record.offset + 1
                    yield _row(record)


def _row(record: Any) -> AuditRow:
    at = clock.rfc3339(record.timestamp)
    try:
        event = read_event(record.value or b"", record.headers)
        named = msgspec.json.decode(event.data, type=_Named)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return AuditRow(record.offset, at, "", "", "unreadable", "", -1, "", "", "")
    return AuditRow(
        record.offset,
        at,
        normalise(event.subject),
        event.subject,
        event.type,
        event.source,
        named.revision,
        named.by,
        named.owner,
        named.reason,
    )
