"""What the control topic says of generations; docs/formats.md has the fields.

The control topic: what shard owners, the registrar and operators tell each other.
"""

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError

from kae.sinks.log.protocol import AppendUnknown


class Announced(msgspec.Struct, frozen=True, array_like=True, tag=16):
    """A generation is there to be followed; `topology` is what of topology.yaml makes it, JSON."""

    generation: int
    fingerprint: str
    topology: bytes
    by: str
    at_ms: int


class Cutover(msgspec.Struct, frozen=True, array_like=True, tag=17):
    """The generation that is to serve instead of `previous`.

    `items` (by shard) and `terms` are source offsets: a replica answers from the generation once
    its view of it covers them.
    """

    generation: int
    previous: int
    items: tuple[int, ...]
    terms: int
    by: str
    reason: str
    at_ms: int


class Dropped(msgspec.Struct, frozen=True, array_like=True, tag=18):
    """A generation is over: its topics and stores go, and its number is never used again."""

    generation: int
    by: str
    reason: str
    at_ms: int


GenerationRecord = Announced | Cutover | Dropped


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


class RequestAnswer(msgspec.Struct, frozen=True, array_like=True, tag=6):
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
ControlRecord = Reached | Request | RequestAnswer | Snapshotted | GenerationRecord
encode_control_record = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[ControlRecord] = msgspec.msgpack.Decoder(ControlRecord)


def decode_control_record(payload: bytes | None) -> ControlRecord:
    """Raises msgspec.DecodeError when the bytes are no record of this topic."""
    return _decoder.decode(payload or b"")


def send_reached(producer: KafkaProducer, topic: str, reached: Reached) -> None:
    """Send without waiting: whoever opens the shard next says it again.

    Raises: AppendUnknown when the producer does not take it.
    """
    try:
        producer.send(topic, value=encode_control_record(reached), partition=0)
    except KafkaError as error:
        raise AppendUnknown(f"{topic}: {reached} was not sent: {error!r}") from error
