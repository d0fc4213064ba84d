"""Read the behaviours topic up to named offsets, into files of a job of samples.

What is no behaviour event is counted by its kind of cause, and becomes a dead letter unless it is
one already. That has no copy of the event: it names its place, so that what is erased from the
topic is erased everywhere. Tombstones count beyond the offsets as well, for the same reason. The
files have neither sessions nor users: who asked is a hash whose key is gone after the build.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from secrets import token_bytes
from typing import Any

import msgspec
from kafka import TopicPartition

from kae.sinks.log.protocol import AppendUnknown
from kae.streams.backfill.work import write_atomically
from kae.streams.dead_letters.index import DeadLetterIndex
from kae.streams.dead_letters.records import (
    DeadLetter,
    SourceRecord,
    publish_dead_letters,
    source_key,
)
from kae.streams.errors import KafkaUnreachable, SamplesInvalid
from kae.streams.events.behaviours import decode_behaviour
from kae.streams.events.envelope import Undecodable
from kae.streams.kafka.connection import reached_brokers
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.reader import read_ranges
from kae.streams.kafka.topics import check_topics
from kae.streams.retrieval.behaviour_fold import RequestEvent, TopicRecord
from kae.streams.retrieval.behaviour_ingest import behaviours_of
from kae.streams.retrieval.sample_files import OffsetRange
from kae.streams.topology.types import Topology

FOLDER = "behaviours"
EXPORT_RECORDS = 16_384
REFUSED = "refused: "
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[TopicRecord]).decode


class ExportedBehaviours(msgspec.Struct, frozen=True):
    """The files of an export, in the folder of the job, and how many records were refused."""

    ranges: tuple[OffsetRange, ...]
    files: tuple[str, ...]
    records: int
    refused: Mapping[str, int]


def export_behaviours(topology: Topology, until: Sequence[int], folder: Path) -> ExportedBehaviours:
    """Write what the topic holds up to these offsets, or up to its present end without any.

    Raises: BehavioursOff; SamplesInvalid for offsets that the topic does not have; TopicDiffers;
    KafkaUnreachable, KafkaRefused; LogTruncated when retention removes records meanwhile; DiskFull.
    """
    behaviours_of(topology)
    check_topics(topology)
    with reached_brokers(topology), KafkaClients.for_writing(topology, "samples") as clients:
        ranges, ends = find_ranges(clients, topology.behaviours_topic, until)
        export = _Export(topology, clients, folder, [one.end for one in ranges])
        places = {
            TopicPartition(topology.behaviours_topic, one.partition): range(one.begin, end)
            for one, end in zip(ranges, ends, strict=True)
        }
        with clients.borrowed_consumer() as consumer:
            for record in read_ranges(consumer, places, clients.timeout_seconds):
                export.take(record)
        return export.finish(ranges)


def find_ranges(
    clients: KafkaClients, topic: str, until: Sequence[int] = ()
) -> tuple[tuple[OffsetRange, ...], tuple[int, ...]]:
    """What each partition of the topic holds up to these offsets, or to its end; and the ends.

    Raises: SamplesInvalid.
    """
    with clients.borrowed_consumer() as consumer:
        numbers = sorted(consumer.partitions_for_topic(topic) or ())
        places = [TopicPartition(topic, number) for number in numbers]
        begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
    if until and len(until) != len(numbers):
        raise SamplesInvalid(
            f"{topic}: has {len(numbers)} partitions, and {len(until)} offsets are given; give one "
            "for each, as `kae samples show` prints them"
        )
    wanted = dict(zip(places, until, strict=True)) if until else ends
    for place in places:
        if wanted[place] > ends[place]:
            raise SamplesInvalid(
                f"{topic}/{place.partition}: ends at {ends[place]}, and {wanted[place]} is given; "
                "give an offset that it has reached"
            )
    ranges = (
        OffsetRange(place.partition, min(begins[place], wanted[place]), wanted[place])
        for place in places
    )
    return tuple(ranges), tuple(ends[place] for place in places)


def read_exported(path: Path) -> list[TopicRecord]:
    return _decode(path.read_bytes())


class _Export:
    def __init__(
        self, topology: Topology, clients: KafkaClients, folder: Path, until: Sequence[int]
    ) -> None:
        self._topology = topology
        self._clients = clients
        self._folder = folder
        self._until = until
        self._key = token_bytes(32)
        self._users = behaviours_of(topology).users
        self._batch: list[TopicRecord] = []
        self._dead: list[DeadLetter] = []
        self._known: set[tuple[bytes, int]] | None = None
        self._files: list[str] = []
        self._records = 0
        self._refused: Counter[str] = Counter()

    def take(self, record: Any) -> None:
        """Raises: KafkaUnreachable, DiskFull."""
        beyond = record.offset >= self._until[record.partition]
        if beyond and record.value is not None:
            return
        self._records += not beyond
        event = None
        try:
            if record.value is not None:
                event = self._event(record)
        except Undecodable as error:
            self._refuse(record, error)
            return
        request = (record.key or b"").decode(errors="backslashreplace")
        self._batch.append(
            TopicRecord(record.partition, record.offset, record.timestamp, request, event, beyond)
        )
        if len(self._batch) == EXPORT_RECORDS:
            self._write()

    def finish(self, ranges: tuple[OffsetRange, ...]) -> ExportedBehaviours:
        """Raises: KafkaUnreachable, DiskFull."""
        self._write()
        self._publish()
        files = tuple(self._files)
        return ExportedBehaviours(ranges, files, self._records, dict(self._refused))

    def _event(self, record: Any) -> RequestEvent:
        """Raises: Undecodable."""
        limit = self._topology.limits.event_bytes
        read = decode_behaviour(
            record.key,
            record.value,
            limit,
            record.timestamp,
            users=self._users,
            headers=record.headers,
        )
        # The requests of one person have the user in common, or else the session.
        said = f"user {read.user}" if read.user else f"session {read.session}"
        person = blake2b(said.encode(), key=self._key, digest_size=16).hexdigest()
        return RequestEvent(read.request, person, read.at_ms, read.behaviour)

    def _write(self) -> None:
        if self._batch:
            name = f"{FOLDER}/{len(self._files):06d}.msgpack"
            write_atomically(self._folder / name, _encode(self._batch))
            self._files.append(name)
            self._batch = []

    def _refuse(self, record: Any, error: Undecodable) -> None:
        self._refused[REFUSED + error.kind] += 1
        source = SourceRecord(
            record.topic, record.partition, record.offset, record.timestamp, None, None, ()
        )
        self._dead.append(DeadLetter(source, str(error), error.kind))
        if len(self._dead) == EXPORT_RECORDS:
            self._publish()

    def _publish(self) -> None:
        """Store the dead letters that are not stored yet."""
        if not self._dead:
            return
        if self._known is None:
            index = DeadLetterIndex(self._topology, self._clients)
            index.read_on()
            self._known = set(index.entries)
        unknown = [*_unknown(self._dead, self._known)]
        self._dead = []
        topic = self._topology.dead_letters_topic
        try:
            publish_dead_letters(self._clients, topic, unknown, self._clients.timeout_seconds)
        except AppendUnknown as error:
            raise KafkaUnreachable(f"{error}; run the same command again") from error


def _unknown(letters: Sequence[DeadLetter], known: set[tuple[bytes, int]]) -> Iterator[DeadLetter]:
    for letter in letters:
        if (source_key(letter.record), letter.record.timestamp) not in known:
            yield letter
