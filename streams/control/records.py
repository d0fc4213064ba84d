"""The records of the control topic; docs/formats.md has their fields.

Shard owners, the registrar, replicas and operators coordinate by them.
"""

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError

from kae.sinks.log.protocol import AppendUnknown


class Announced(msgspec.Struct, frozen=True, array_like=True, tag=16):
    """A generation may be followed; `topology` is its sections of topology.yaml, as JSON."""

    generation: int
    fingerprint: str
    topology: bytes
    by: str
    at_ms: int


class Cutover(msgspec.Struct, frozen=True, array_like=True, tag=17):
    """A generation is to serve instead of `previous`.

    `items` (by shard of `generation`) and `terms` are source offsets: a replica switches as soon as
    its view of the generation covers them.
    """

    generation: int
    previous: int
    items: tuple[int, ...]
    terms: int
    by: str
    reason: str
    at_ms: int


class Dropped(msgspec.Struct, frozen=True, array_like=True, tag=18):
    """A generation is dropped: its topics and stores go, and its number is never used again."""

    generation: int
    by: str
    reason: str
    at_ms: int


GenerationRecord = Announced | Cutover | Dropped


class Reached(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A shard has attached everything up to a bindings version; `owner` is the shard's worker.

    It is sent after the shard's delta was folded, so it stays true whatever its epoch; the epoch
    only tells the newest owner. `attached` counts the shard's items of each pending binding, as
    pairs of binding and count.
    """

    generation: int
    shard: int
    bindings_version: int
    epoch: int = 0
    owner: str = ""
    attached: tuple[tuple[int, int], ...] = ()


class Pause(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Asks a shard's owner to stop indexing items until it is resumed."""

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
    """Asks a shard's owner to read its items again from an offset on.

    With `accept_loss` that may be beyond events that the topic no longer holds.
    """

    generation: int
    shard: int
    by: str
    reason: str
    at_ms: int
    to_offset: int
    accept_loss: bool = False


class Refold(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Asks a shard's owner to delete its store and fold it again from its log."""

    generation: int
    shard: int
    by: str
    reason: str
    at_ms: int


class RequestAnswer(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """The answer to the request at an offset: done, or refused with a cause."""

    generation: int
    shard: int
    request: int
    refused: str
    worker: str
    version: int
    at_ms: int


class Snapshot(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """Asks a shard's owner to take a snapshot; `Snapshotted` follows when it is finished."""

    generation: int
    shard: int
    by: str
    reason: str
    at_ms: int


class Snapshotted(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """A complete snapshot of a shard is in the archive; or `failed` says why it is not.

    It informs people and saves the next snapshot a look into the archive; readers of snapshots
    rely only on the archive and the log.
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
    """Raises: msgspec.DecodeError when the bytes are no record of this topic."""
    return _decoder.decode(payload or b"")


def send_reached(producer: KafkaProducer, topic: str, reached: Reached) -> None:
    """Send without waiting: the next owner of the shard sends it again.

    Raises: AppendUnknown when the producer does not accept it.
    """
    try:
        producer.send(topic, value=encode_control_record(reached), partition=0)
    except KafkaError as error:
        raise AppendUnknown(f"{topic}: {reached} was not sent: {error!r}") from error
