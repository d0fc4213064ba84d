"""Dead letters: what could not be indexed, with its cause, bytes and headers.

The record's value is the source's bytes unchanged; what is known about it are headers, so that a
replay is the value, the original key and the original headers sent again.

Marks: what is remembered of a letter's replays, in the dead letters topic itself.

A mark lies in the partition of its letter, after it, so that retention takes the letter first. Who
wants to send letters again claims them, and sends those whose claim counts; a claim that no
`Replayed` follows was cut short, and is taken over by a claim that names it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError

from kae.sinks.log.protocol import AppendUnknown
from kae.streams.kafka.log import KafkaClients

MAX_CAUSE = 2000
# On a record that was sent again: which letter it is, as partition/offset, and how often.
REPLAY_OF = "kae_replay_of"
REPLAYS = "kae_replays"
# The source of a letter that was a row of a feed is this and the path of the file, which no topic's
# name can be; its partition is the file's place in the feed, its offset the row's number.
FEED = "feed:"
RecordHeaders = Sequence[tuple[str, bytes | None]]


class NotADeadLetter(ValueError):
    """A record of the dead letters topic that no worker wrote."""


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A record, under the names that consumers give; `timestamp` is in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A source record and why it could not be carried out; `kind` is the cause's stable code."""

    record: SourceRecord
    cause: str
    kind: str


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


def home_topic(source_topic: str, items_topic: str) -> str:
    """The topic that a letter is sent to again: rows of a feed are items."""
    return items_topic if source_topic.startswith(FEED) else source_topic


def read_dead_letter(value: bytes | None, headers: RecordHeaders) -> DeadLetter:
    """The letter that a record of the dead letters topic is.

    Raises: NotALetter.
    """
    try:
        # The source's own headers come last, and may have any name.
        first = len(headers) - int(dict(headers[:1])["kae-headers"] or b"")
        own = {name: content or b"" for name, content in headers[:first]}
        topic, partition, offset = own["kae-source"].decode().rsplit("/", 2)
        record = SourceRecord(
            topic=topic,
            partition=int(partition),
            offset=int(offset),
            timestamp=int(own["kae-timestamp-ms"]),
            key=own.get("kae-key"),
            value=None if "kae-tombstone" in own else value,
            headers=tuple(headers[first:]),
        )
        cause, kind = own["kae-cause"].decode(), own["kae-kind"].decode()
    except (KeyError, ValueError) as error:
        raise NotADeadLetter(f"its headers are not those of a dead letter: {error!r}") from error
    return DeadLetter(record, cause, kind)


def _headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    record = letter.record
    known = [
        ("kae-headers", str(len(record.headers)).encode()),
        ("kae-cause", letter.cause[:MAX_CAUSE].encode()),
        ("kae-kind", letter.kind.encode()),
        ("kae-source", source_key(record)),
        ("kae-timestamp-ms", str(record.timestamp).encode()),
    ]
    if record.key is not None:
        known.append(("kae-key", record.key))
    if record.value is None:
        known.append(("kae-tombstone", b"1"))
    # Kafka has headers without a value; its client for Python sends none.
    return [*known, *((name, content or b"") for name, content in record.headers)]


HEADER = ("kae-mark", b"1")


class Claimed(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A run is about to send a letter again.

    It counts if the letter is not replayed and `after` is the run whose claim counts so far, or "".
    What the run sends lies in `topic`/`partition`, at `from_offset` or later.
    """

    source_ms: int
    offset: int  # the letter's
    run: str
    after: str
    topic: str
    partition: int
    from_offset: int


class Replayed(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A letter was sent again, and lies at this place."""

    source_ms: int
    offset: int  # the letter's
    run: str
    topic: str
    partition: int
    at_offset: int


ReplayRecord = Claimed | Replayed
_decoder: msgspec.msgpack.Decoder[ReplayRecord] = msgspec.msgpack.Decoder(ReplayRecord)
encode = msgspec.msgpack.Encoder().encode


def is_mark(headers: Sequence[tuple[str, bytes | None]]) -> bool:
    """A letter's first header is another, whatever its source's are."""
    return bool(headers) and headers[0][0] == HEADER[0]


def decode(value: bytes | None) -> ReplayRecord:
    """Raises: msgspec.DecodeError."""
    return _decoder.decode(value or b"")


@dataclass(slots=True)
class ReplayProgress:
    """The fold of one letter's marks."""

    claim: Claimed | None = None
    claimed_ms: int = 0  # when the broker was given the claim
    done: Replayed | None = None

    def apply(self, mark: ReplayRecord, at_ms: int) -> None:
        """Fold one mark in the order of the partition."""
        match mark:
            case Replayed():
                self.done = self.done or mark
            case Claimed() if self.done is None and mark.after == self.run:
                self.claim, self.claimed_ms = mark, at_ms
            case _:
                # Another claim was first; whoever wrote this one reads so, and sends nothing.
                pass

    @property
    def run(self) -> str:
        """Whose claim counts."""
        return self.claim.run if self.claim else ""
