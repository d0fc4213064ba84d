"""The records of the dead letters topic: dead letters, and how far their replays are.

A dead letter's value is the source record's, unchanged; everything else is in headers, so that a
replay sends the value with the original key and headers again.

A replay record follows its dead letter in the same partition, so that retention removes the dead
letter first. A run claims dead letters before it sends them, and sends those whose claim is in
force. A claim that no `Replayed` follows was cut short; a later run takes it over with a claim that
names it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError

from kae.sinks.log.protocol import AppendUnknown
from kae.streams.kafka.log import KafkaClients

MAX_CAUSE = 2000
# Headers of a replayed record: the dead letter as PARTITION/OFFSET, and how often it was replayed.
REPLAY_OF = "kae_replay_of"
REPLAYS = "kae_replays"
# A row of a feed has this and its file's path, which is no topic's name, as the source topic; its
# partition is the file's index in the feed, its offset the row's number.
FEED = "feed:"
RecordHeaders = Sequence[tuple[str, bytes | None]]


class NotADeadLetter(ValueError):
    """A record of the dead letters topic that kae did not write."""


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A Kafka record; `timestamp` is in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A source record and why it could not be indexed; `kind` is the cause's stable code."""

    record: SourceRecord
    cause: str
    kind: str


def publish_dead_letters(
    clients: KafkaClients, topic: str, letters: Sequence[DeadLetter], timeout_seconds: float
) -> None:
    """Send dead letters and wait until all are stored.

    After a crash before the delta that counts them, they are sent again with the same key.
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
    """The key of a source record's dead letter: the record's place."""
    return f"{record.topic}/{record.partition}/{record.offset}".encode()


def replay_topic(source_topic: str, items_topic: str) -> str:
    """The topic that a dead letter is replayed to: rows of a feed are items."""
    return items_topic if source_topic.startswith(FEED) else source_topic


def read_dead_letter(value: bytes | None, headers: RecordHeaders) -> DeadLetter:
    """Decode a dead letter.

    Raises: NotADeadLetter.
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


REPLAY_RECORD_HEADER = ("kae-mark", b"1")


class Claimed(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A run is about to replay a dead letter.

    The claim is in force if the dead letter is not replayed and `after` is the run whose claim was
    in force, or "". The run's record is in `topic`/`partition`, at `from_offset` or later.
    """

    source_ms: int
    offset: int  # of the dead letter
    run: str
    after: str
    topic: str
    partition: int
    from_offset: int


class Replayed(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A dead letter was replayed; its record is at this offset of the source topic."""

    source_ms: int
    offset: int  # of the dead letter
    run: str
    topic: str
    partition: int
    at_offset: int


ReplayRecord = Claimed | Replayed
_decoder: msgspec.msgpack.Decoder[ReplayRecord] = msgspec.msgpack.Decoder(ReplayRecord)
encode_replay_record = msgspec.msgpack.Encoder().encode


def is_replay_record(headers: Sequence[tuple[str, bytes | None]]) -> bool:
    """Whether a record is no dead letter: those have another first header."""
    return bool(headers) and headers[0][0] == REPLAY_RECORD_HEADER[0]


def decode_replay_record(value: bytes | None) -> ReplayRecord:
    """Raises: msgspec.DecodeError."""
    return _decoder.decode(value or b"")


@dataclass(slots=True)
class ReplayProgress:
    """The fold of one dead letter's replay records."""

    claim: Claimed | None = None
    claimed_ms: int = 0  # the time of the claim's record
    done: Replayed | None = None

    def apply(self, record: ReplayRecord, at_ms: int) -> None:
        """Fold one replay record; the order is the partition's."""
        match record:
            case Replayed():
                self.done = self.done or record
            case Claimed() if self.done is None and record.after == self.run:
                self.claim, self.claimed_ms = record, at_ms
            case _:
                # Another claim came first; the run of this one reads that and sends nothing.
                pass

    @property
    def run(self) -> str:
        """The run whose claim is in force, or ""."""
        return self.claim.run if self.claim else ""
