"""Publish behaviour files as events: read -> encode -> send -> acknowledge, record by record.

A record becomes the same event whenever it is sent. So a run that was cut short is simply given
again, and what came twice counts once.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.producer.future import FutureRecordMetadata

from kae.streams.errors import BehavioursOff, KafkaUnreachable
from kae.streams.events import causes
from kae.streams.events.behaviours import BehaviourData, decode_behaviour, encode_behaviour
from kae.streams.events.envelope import Undecodable
from kae.streams.kafka.connection import REFUSALS, reached_brokers
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.topics import check_topics
from kae.streams.retrieval.behaviour import (
    LISTS,
    BehaviourPart,
    BehaviourRecord,
    BehaviourRefused,
    behaviour_parts,
    read_behaviour_records,
)
from kae.streams.topology.parts import BehavioursPart
from kae.streams.topology.types import Topology

# Records that are sent and not acknowledged, at most; bounds the memory.
IN_FLIGHT = 8192
# Causes that are counted one by one; the others are counted together.
CAUSES = 100
OTHER_CAUSES = "another cause"
_NO_SESSION = "-"
_REPORT_EVERY = 1000


class RefusedRecords(msgspec.Struct):
    """How many records were refused for a cause, and where the first one is."""

    cause: str
    records: int
    first: str


class BehaviourIngested(msgspec.Struct):
    """What `kae behaviour ingest --json` prints."""

    read: int = 0  # = sent + refused
    sent: int = 0  # and acknowledged
    refused: int = 0
    causes: list[RefusedRecords] = []
    users_left_out: int = 0  # of those sent: behaviours.users does not allow them
    seconds: float = 0.0


SentRecord = tuple[BehaviourPart, int, FutureRecordMetadata]


def behaviours_of(topology: Topology) -> BehavioursPart:
    """Raises: BehavioursOff."""
    if topology.behaviours is None:
        raise BehavioursOff(
            f"{topology.path}: has no section `behaviours`, and so no topic for behaviour events; "
            "add `behaviours: {}` and run: kae topics apply"
        )
    return topology.behaviours


def ingest_behaviour(
    topology: Topology,
    paths: Sequence[Path],
    on_progress: Callable[[int], None] | None = None,
) -> BehaviourIngested:
    """Send each record of these files; those that are refused are counted by cause.

    Raises: CatalogInvalid; BehavioursOff; TopicDiffers; KafkaUnreachable, KafkaRefused.
    """
    users = behaviours_of(topology).users
    parts = behaviour_parts(paths)
    check_topics(topology)
    began = time.monotonic()
    with reached_brokers(topology), KafkaClients.for_writing(topology, "behaviour") as clients:
        sending = _Sending(topology, clients.producer, users, on_progress)
        for part in parts:
            for row, found in read_behaviour_records(part):
                sending.take(part, row, found)
        return sending.finish(began)


class _Sending:
    def __init__(
        self,
        topology: Topology,
        producer: KafkaProducer,
        users: bool,
        on_progress: Callable[[int], None] | None,
    ) -> None:
        self._topology = topology
        self._producer = producer
        self._users = users
        self._on_progress = on_progress
        self._in_flight: deque[SentRecord] = deque()
        self._causes: dict[str, RefusedRecords] = {}
        self._told = BehaviourIngested()

    def take(
        self, part: BehaviourPart, row: int, found: BehaviourRecord | BehaviourRefused
    ) -> None:
        """Send a record, or count it as refused."""
        self._told.read += 1
        if isinstance(found, BehaviourRefused):
            self._refuse(found.cause, f"{part.path} row {row}")
            return
        try:
            key, value = to_event(part, row, found, self._users)
            # What a reader would refuse is refused here, where the file can still be corrected.
            limit = self._topology.limits.event_bytes
            decode_behaviour(key, value, limit, 0, users=self._users)
        except Undecodable as error:
            self._refuse(str(error), f"{part.path} row {row}")
        else:
            self._told.users_left_out += not self._users and bool(found.record.get("user"))
            sent = self._producer.send(self._topology.behaviours_topic, key=key, value=value)
            self._in_flight.append((part, row, sent))
            self._wait_for(IN_FLIGHT)
        if self._on_progress and self._told.read % _REPORT_EVERY == 0:
            self._on_progress(self._told.read)

    def finish(self, began: float) -> BehaviourIngested:
        """Wait until all are acknowledged; `began` is a time.monotonic()."""
        self._producer.flush()
        self._wait_for(0)
        self._told.causes = sorted(self._causes.values(), key=lambda one: -one.records)
        self._told.seconds = round(time.monotonic() - began, 3)
        if self._on_progress:
            self._on_progress(self._told.read)
        return self._told

    def _refuse(self, cause: str, place: str) -> None:
        self._told.refused += 1
        if cause not in self._causes and len(self._causes) >= CAUSES:
            cause = OTHER_CAUSES
        self._causes.setdefault(cause, RefusedRecords(cause, 0, place)).records += 1

    def _wait_for(self, allowed: int) -> None:
        """Wait until no more than so many records are in flight."""
        while len(self._in_flight) > allowed:
            part, row, sent = self._in_flight.popleft()
            try:
                sent.get(timeout=self._topology.kafka.delivery_timeout_seconds + 1)
            except REFUSALS:
                raise
            except KafkaError as error:
                raise KafkaUnreachable(
                    f"{part.path} row {row}: Kafka at {self._topology.kafka.bootstrap} has not "
                    f"acknowledged it: {error}; run the same command again: what was sent twice "
                    "counts once"
                ) from error
            self._told.sent += 1


def to_event(
    part: BehaviourPart, row: int, found: BehaviourRecord, users: bool
) -> tuple[bytes, bytes]:
    """The key and the value of a record's event; without `users`, the user is left out.

    Raises: Undecodable.
    """
    record = found.record
    fields: dict[str, Any] = {name: list(getattr(found.behaviour, name)) for name in LISTS}
    fields |= {"query": found.behaviour.query, "time": record.get("time")}
    fields["user"] = _text(record, "user") if users else ""
    session, request = _text(record, "session"), _text(record, "id")
    try:
        data = msgspec.convert({**fields, "session": session or _NO_SESSION}, BehaviourData)
        request = request or _request_of(data, row)
        if not session:
            data = msgspec.structs.replace(data, session=request)
        source = f"/kae/behaviour/{quote(Path(part.path).name)}"
        return request.encode(), encode_behaviour(request, data, source)
    except msgspec.ValidationError as error:
        raise Undecodable(f"data: {error}", causes.of_malformed(error, "data")) from error


def _request_of(data: BehaviourData, row: int) -> str:
    """The id of a request that has none: a session asks for something once at a time.

    Without both, the place in the file tells requests apart that are the same otherwise.
    """
    said: list[Any] = [data.session, data.time, data.query]
    if data.session == _NO_SESSION or data.time is None:
        said = [row, msgspec.structs.replace(data, user="")]
    return blake2b(msgspec.json.encode(said), digest_size=16).hexdigest()


def _text(record: Mapping[str, Any], name: str) -> str:
    """A text, or a whole number as text; empty where there is none.

    Raises: Undecodable.
    """
    value = record.get(name)
    if value is None:
        return ""
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise Undecodable(f"{name} is no text", f"data.{name}.type")
