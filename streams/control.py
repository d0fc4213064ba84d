"""The control topic: what shard owners, the registrar and operators tell each other."""

from collections.abc import Container
from dataclasses import dataclass, field, replace

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError

from kae.sinks.log import AppendUnknown
from kae.streams.generations.records import GenerationRecord


class Reached(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A shard's log holds, accepted, everything up to a bindings version; and who says so.

    It is sent after the shard's delta was folded, so it is a lasting truth and needs no epoch; the
    epoch only tells which owner is the newest. `attached` are the items that pending bindings with
    a plan have here, as pairs of binding and count.
    """

    generation: int
    shard: int
    bindings_version: int
    epoch: int = 0
    owner: str = ""
    attached: tuple[tuple[int, int], ...] = ()


class Pause(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Asks a shard's owner to index no items until told otherwise."""

    generation: int
    shard: int
    by: str
    reason: str
    at_ms: int


class Resume(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Asks the owner of a paused shard to go on."""

    generation: int
    shard: int
    by: str
    reason: str
    at_ms: int


class Reset(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Asks a shard's owner to read its items again from an offset on."""

    generation: int
    shard: int
    by: str
    reason: str
    at_ms: int
    to_offset: int


class Refold(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Asks a shard's owner to delete its store and fold it again from its log."""

    generation: int
    shard: int
    by: str
    reason: str
    at_ms: int


class Answer(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """What became of a request, which its offset names: done, or refused with a cause."""

    generation: int
    shard: int
    request: int
    refused: str
    worker: str
    version: int
    at_ms: int


class Snapshot(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """Asks a shard's owner to take a snapshot; `Snapshotted` tells when it is there."""

    generation: int
    shard: int
    by: str
    reason: str
    at_ms: int


class Snapshotted(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """A snapshot of a shard is in the archive, whole; or why it is not (`failed`).

    It tells people and spares who takes snapshots a look; nobody believes a snapshot for it.
    """

    generation: int
    shard: int
    version: int
    offset: int
    manifest: str
    bytes: int
    sent_bytes: int
    failed: str
    worker: str
    at_ms: int


Request = Pause | Resume | Reset | Refold | Snapshot
Record = Reached | Request | Answer | Snapshotted | GenerationRecord

encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)


def decode(payload: bytes | None) -> Record:
    """Raises msgspec.DecodeError when the bytes are no record of this topic."""
    return _decoder.decode(payload or b"")


def announce(producer: KafkaProducer, topic: str, reached: Reached) -> None:
    """Send without waiting: whoever opens the shard next says it again.

    Raises: AppendUnknown when the producer does not take it.
    """
    try:
        producer.send(topic, value=encode(reached), partition=0)
    except KafkaError as error:
        raise AppendUnknown(f"{topic}: {reached} was not sent: {error!r}") from error


@dataclass(frozen=True, slots=True)
class Filed:
    """A request at its offset, and what became of it."""

    offset: int
    request: Request
    answer: Answer | None = None


@dataclass(slots=True)
class ControlBook:
    """The fold of the control topic for one generation."""

    generation: int
    bindings_reached: dict[int, int] = field(default_factory=dict)
    # By shard: the items of each pending binding with a plan, at that version.
    attached: dict[int, dict[int, int]] = field(default_factory=dict)
    owners: dict[int, Reached] = field(default_factory=dict)
    # By offset, rising: requests without an answer.
    open: dict[int, Filed] = field(default_factory=dict)
    # By shard: the newest request, and the Pause that was carried out and is in force.
    last: dict[int, Filed] = field(default_factory=dict)
    pauses: dict[int, Pause] = field(default_factory=dict)
    snapshots: dict[int, Snapshotted] = field(default_factory=dict)  # by shard: the newest taken

    def enter(self, offset: int, record: Record) -> bool:
        """Take one record in; whether it is a request of this generation."""
        if record.generation != self.generation or isinstance(record, GenerationRecord):
            return False
        if isinstance(record, Reached):
            self._reach(record)
            return False
        if isinstance(record, Answer):
            self._close(record)
            return False
        if isinstance(record, Snapshotted):
            if not record.failed:
                self.snapshots[record.shard] = record
            return False
        self.open[offset] = self.last[record.shard] = Filed(offset, record)
        return True

    def open_of(self, shards: Container[int]) -> list[Filed]:
        """The requests of these shards that have no answer, in the order of their offsets."""
        return [filed for filed in list(self.open.values()) if filed.request.shard in shards]

    def _reach(self, reached: Reached) -> None:
        shard = reached.shard
        if reached.bindings_version >= self.bindings_reached.get(shard, 0):
            self.attached[shard] = dict(reached.attached)
            self.bindings_reached[shard] = reached.bindings_version
        if reached.owner and reached.epoch >= self.owners.get(shard, reached).epoch:
            self.owners[shard] = reached

    def _close(self, answer: Answer) -> None:
        """The first answer counts: who was killed before it knew of its answer gives it again."""
        filed = self.open.pop(answer.request, None)
        if filed is None:
            return
        shard = filed.request.shard
        if self.last[shard].offset == filed.offset:
            self.last[shard] = replace(filed, answer=answer)
        if answer.refused:
            return
        if isinstance(filed.request, Pause):
            self.pauses[shard] = filed.request
        elif isinstance(filed.request, Resume):
            self.pauses.pop(shard, None)
