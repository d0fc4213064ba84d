"""The dead letters topic, folded: an entry for each dead letter, and how far its replay is."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from kafka import TopicPartition

from kae.streams.dead_letters.records import (
    REPLAY_OF,
    REPLAYS,
    NotADeadLetter,
    ReplayProgress,
    SourceRecord,
    decode_replay_record,
    is_replay_record,
    read_dead_letter,
)
from kae.streams.errors import DeadLetterUnknown
from kae.streams.events import causes
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.reader import read_ranges, read_to_end
from kae.streams.kafka.topics import check_topics
from kae.streams.topology.types import Topology

# The dead letter's key and its source record's time: a dead letter that a crash stored twice is
# one entry.
DeadLetterKey = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class DeadLetterEntry:
    """One dead letter without its value; `source.value` is always None."""

    partition: int
    offset: int
    at_ms: int
    identity: DeadLetterKey
    source: SourceRecord
    cause: str
    kind: str
    size_bytes: int

    @property
    def address(self) -> str:
        """PARTITION/OFFSET, as commands and records name it."""
        return f"{self.partition}/{self.offset}"

    @property
    def replay_of(self) -> str | None:
        """The address of the dead letter whose replay failed as this one."""
        found = dict(self.source.headers).get(REPLAY_OF)
        return None if found is None else found.decode(errors="replace")

    @property
    def replays(self) -> int:
        """How often the event was replayed before it failed as this dead letter."""
        found = dict(self.source.headers).get(REPLAYS) or b""
        return int(found) if found.isdigit() else 0


@dataclass(slots=True)
class DeadLetterIndex:
    """All entries of the topic; those of one partition in offset order."""

    topology: Topology
    clients: KafkaClients
    entries: dict[DeadLetterKey, DeadLetterEntry] = field(default_factory=dict)
    # By the address of the dead letter that was replayed: the one that its replay failed as.
    failed_replays: dict[str, DeadLetterEntry] = field(default_factory=dict)
    foreign: int = 0  # records that kae did not write
    _progress: dict[DeadLetterKey, ReplayProgress] = field(default_factory=dict)
    _addresses: dict[str, DeadLetterKey] = field(default_factory=dict)
    _next: dict[TopicPartition, int] = field(default_factory=dict)

    def read_on(self) -> None:
        """Read what has come since the last call.

        Raises: KafkaUnreachable.
        """
        topic = self.topology.dead_letters_topic
        with self.clients.borrowed_consumer() as consumer:
            # However many shards a generation has: all write here.
            places = [TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic)]
        starts = {place: self._next.get(place) for place in places}
        for record in read_to_end(self.clients, starts):
            self._fold(record)
            self._next[TopicPartition(topic, record.partition)] = record.offset + 1

    def _fold(self, record: Any) -> None:
        try:
            if is_replay_record(record.headers):
                replayed = decode_replay_record(record.value)
                identity = (record.key, replayed.source_ms)
                progress = self._progress.setdefault(identity, ReplayProgress())
                progress.apply(replayed, record.timestamp)
                return
            entry = _entry(record)
        except (NotADeadLetter, msgspec.DecodeError):
            self.foreign += 1
            return
        self.entries.setdefault(entry.identity, entry)
        self._addresses[entry.address] = entry.identity
        if entry.replay_of is not None:
            self.failed_replays.setdefault(entry.replay_of, entry)

    def progress(self, entry: DeadLetterEntry) -> ReplayProgress:
        """How far the replay of an entry is."""
        return self._progress.get(entry.identity) or ReplayProgress()

    def is_open(self, entry: DeadLetterEntry) -> bool:
        """Whether an entry was not replayed yet."""
        return self.progress(entry).done is None

    def at(self, address: str) -> DeadLetterEntry:
        """The entry at PARTITION/OFFSET.

        Raises: DeadLetterUnknown.
        """
        identity = self._addresses.get(address)
        if identity is None:
            raise DeadLetterUnknown(
                f"{self.topology.dead_letters_topic}: no dead letter at {address!r}; name one as "
                "PARTITION/OFFSET, as `kae dead-letters list` shows them"
            )
        return self.entries[identity]

    def values(self, entries: Iterable[DeadLetterEntry]) -> dict[DeadLetterKey, bytes | None]:
        """Read the source records' values; that of a behaviour event is in its own topic alone.

        Raises: LogTruncated when retention has removed a dead letter since; KafkaUnreachable.
        """
        wanted: dict[TopicPartition, dict[int, DeadLetterEntry]] = {}
        found: dict[DeadLetterKey, bytes | None] = {}
        for entry in entries:
            if entry.source.topic == self.topology.behaviours_topic:
                found[entry.identity] = self._in_place(entry.source)
                continue
            place = TopicPartition(self.topology.dead_letters_topic, entry.partition)
            wanted.setdefault(place, {})[entry.offset] = entry
        # Reads the records in between too: no more than `read_on` has read already.
        ranges = {place: range(min(group), max(group) + 1) for place, group in wanted.items()}
        with self.clients.borrowed_consumer() as consumer:
            for record in read_ranges(consumer, ranges, self.clients.timeout_seconds):
                group = wanted[TopicPartition(record.topic, record.partition)]
                if one := group.get(record.offset):
                    dead = read_dead_letter(record.value, record.headers)
                    found[one.identity] = dead.record.value
        return found

    def _in_place(self, source: SourceRecord) -> bytes | None:
        """The value of a record that is still in its topic; None if it is there no more."""
        place = TopicPartition(source.topic, source.partition)
        with self.clients.borrowed_consumer() as consumer:
            if source.offset < consumer.beginning_offsets([place])[place]:
                return None
            wanted = {place: range(source.offset, source.offset + 1)}
            for record in read_ranges(consumer, wanted, self.clients.timeout_seconds):
                value: bytes | None = record.value
                return value
        return None


def _entry(record: Any) -> DeadLetterEntry:
    """Raises: NotADeadLetter."""
    dead = read_dead_letter(record.value, record.headers)
    source = dead.record
    return DeadLetterEntry(
        partition=record.partition,
        offset=record.offset,
        at_ms=record.timestamp,
        identity=(record.key, source.timestamp),
        source=replace(source, value=None),
        cause=dead.cause,
        kind=dead.kind,
        size_bytes=len(source.value or b""),
    )


@contextmanager
def open_index(topology: Topology) -> Iterator[DeadLetterIndex]:
    """An index that has read the topic to its end.

    Raises: KafkaUnreachable; TopicDiffers.
    """
    check_topics(topology)
    with KafkaClients.for_writing(topology, "dead-letters") as clients:
        index = DeadLetterIndex(topology, clients)
        index.read_on()
        yield index


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """What every chosen entry has in common; an empty field matches all."""

    kind: str = ""  # this kind, or any below it
    cause: str = ""  # a part of the cause, in any case
    topic: str = ""  # of the source record
    since_ms: int = 0

    def matches(self, entry: DeadLetterEntry) -> bool:
        return (
            (not self.kind or causes.within(entry.kind, self.kind))
            and self.cause.lower() in entry.cause.lower()
            and (not self.topic or entry.source.topic == self.topic)
            and entry.at_ms >= self.since_ms
        )


def choose_dead_letters(
    index: DeadLetterIndex, chosen: DeadLetterFilter, addresses: Sequence[str] = ()
) -> list[DeadLetterEntry]:
    """The entries that match, oldest first; only those at `addresses`, if there are any.

    Raises: DeadLetterUnknown.
    """
    named = {entry.identity: entry for entry in map(index.at, addresses)}
    entries = named if addresses else index.entries
    matching = [entry for entry in entries.values() if chosen.matches(entry)]
    return sorted(matching, key=lambda entry: (entry.at_ms, entry.partition, entry.offset))
