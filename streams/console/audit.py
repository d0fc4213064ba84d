"""The audit log: the terms topic, which keeps every term event, as rows."""

import threading
from typing import Any

import msgspec
from kafka import TopicPartition

from kae.encoders.text.normal_form import normalise
from kae.streams import clock
from kae.streams.events.cloudevents import read_event
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.reader import read_to_end
from kae.streams.topology.types import Topology

ROWS = 100


class AuditRow(msgspec.Struct, frozen=True):
    """One record of the terms topic; `term` is normalised, and empty if the record is no event."""

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


class _EventData(msgspec.Struct, frozen=True):
    """The fields that rows show, of the data of an event of any type."""

    revision: int = -1
    by: str = ""
    owner: str = ""
    reason: str = ""


class AuditLog:
    """The rows of the topic so far; each call reads on to its end."""

    def __init__(self, topology: Topology, clients: KafkaClients) -> None:
        self._partition = TopicPartition(topology.terms_topic, 0)
        self._clients = clients
        self._rows: list[AuditRow] = []
        self._lock = threading.Lock()

    def rows(self, term: str = "", before: int | None = None, limit: int = ROWS) -> list[AuditRow]:
        """Rows, newest first; only those of a normalised term if one is given.

        Raises: KafkaUnreachable.
        """
        found = (
            row
            for row in reversed(self._all_rows())
            if (not term or row.term == term) and (before is None or row.offset < before)
        )
        return [row for row, _ in zip(found, range(limit), strict=False)]

    def _all_rows(self) -> list[AuditRow]:
        """The rows of every record that the topic holds now."""
        with self._lock:
            start = self._rows[-1].offset + 1 if self._rows else None
            for record in read_to_end(self._clients, {self._partition: start}):
                self._rows.append(_row(record))
            return self._rows


def _row(record: Any) -> AuditRow:
    at = clock.rfc3339(record.timestamp)
    try:
        event = read_event(record.value or b"", record.headers)
        data = msgspec.json.decode(event.data, type=_EventData)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return AuditRow(record.offset, at, "", "", "unreadable", "", -1, "", "", "")
    return AuditRow(
        record.offset,
        at,
        normalise(event.subject),
        event.subject,
        event.type,
        event.source,
        data.revision,
        data.by,
        data.owner,
        data.reason,
    )
