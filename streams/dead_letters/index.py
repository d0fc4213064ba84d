"""The letterbox: the dead letters topic, folded into letters and what became of each.

Which letters a command is about.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition

from kae.streams.dead_letters import records
from kae.streams.dead_letters.records import (
    REPLAY_OF,
    REPLAYS,
    NotADeadLetter,
    ReplayProgress,
    SourceRecord,
    read_dead_letter,
)
from kae.streams.errors import KafkaUnreachable, LetterUnknown
from kae.streams.events import causes
from kae.streams.kafka.log import KafkaClients, poll
from kae.streams.kafka.topic_plan import BATCH_BYTES
from kae.streams.kafka.topics import check_topics
from kae.streams.topology.types import Topology

# A partition that holds more tells it within this time.
SILENCE_SECONDS = 10.0
# The same source record has one letter, also where a crash wrote it twice.
DeadLetterKey = tuple[bytes, int]  # key of the letter, time of the source record


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
        """How commands and records name it."""
        return f"{self.partition}/{self.offset}"

    @property
    def replay_of(self) -> str | None:
        """The letter that its source record was sent for, if it was sent again."""
        found = dict(self.source.headers).get(REPLAY_OF)
        return None if found is None else found.decode(errors="replace")

    @property
    def replays(self) -> int:
        """How often the event has been sent again so far."""
        found = dict(self.source.headers).get(REPLAYS) or b""
        return int(found) if found.isdigit() else 0


@dataclass(slots=True)
class DeadLetterIndex:
    """All letters of the topic, in the order in which each partition holds them."""

    topology: Topology
    clients: KafkaClients
    letters: dict[DeadLetterKey, DeadLetterEntry] = field(default_factory=dict)
    deaths: dict[str, DeadLetterEntry] = field(
        default_factory=dict
    )  # by the letter that was sent again
    foreign: int = 0  # records that are neither letter nor mark
    _replays: dict[DeadLetterKey, ReplayProgress] = field(default_factory=dict)
    _addresses: dict[str, DeadLetterKey] = field(default_factory=dict)
    _next: dict[TopicPartition, int] = field(default_factory=dict)

    def read_on(self) -> None:
        """Read to where the topic ends now.

        Raises: KafkaUnreachable when a partition says that it holds more and does not tell it.
        """
        topic = self.topology.dead_letters_topic
        places = [TopicPartition(topic, shard) for shard in range(self.topology.shards)]
        with self.clients.borrowed_consumer() as consumer:
            if not self._next:
                self._next.update(consumer.beginning_offsets(places))
            ends = consumer.end_offsets(places)
            behind = [place for place in places if self._next[place] < ends[place]]
            consumer.assign(behind)
            for place in behind:
                consumer.seek(place, self._next[place])
            polls = patient_polls(consumer, topic)
            while any(self._next[place] < ends[place] for place in behind):
                for record in next(polls):
                    self._fold(record)
                    self._next[TopicPartition(topic, record.partition)] = record.offset + 1

    def _fold(self, record: Any) -> None:
        try:
            if records.is_mark(record.headers):
                mark = records.decode(record.value)
                replay = self._replays.setdefault((record.key, mark.source_ms), ReplayProgress())
                replay.apply(mark, record.timestamp)
                return
            letter = _letter(record)
        except (NotADeadLetter, msgspec.DecodeError):
            self.foreign += 1
            return
        self.letters.setdefault(letter.identity, letter)
        self._addresses[letter.address] = letter.identity
        if letter.replay_of is not None:
            self.deaths.setdefault(letter.replay_of, letter)

    def replay(self, letter: DeadLetterEntry) -> ReplayProgress:
        """What became of a letter."""
        return self._replays.get(letter.identity) or ReplayProgress()

    def is_open(self, letter: DeadLetterEntry) -> bool:
        return self.replay(letter).done is None

    def at(self, address: str) -> DeadLetterEntry:
        """The letter at partition/offset.

        Raises: LetterUnknown.
        """
        identity = self._addresses.get(address)
        if identity is None:
            raise LetterUnknown(
                f"{self.topology.dead_letters_topic}: no dead letter at {address!r}; name one as "
                "PARTITION/OFFSET, as `kae dead-letters list` shows them"
            )
        return self.letters[identity]

    def values(self, letters: Iterable[DeadLetterEntry]) -> dict[DeadLetterKey, bytes | None]:
        """The source records' values, read again.

        Raises: LogTruncated when retention has taken a letter meanwhile; KafkaUnreachable.
        """
        wanted: dict[int, list[DeadLetterEntry]] = {}
        for letter in sorted(letters, key=lambda one: one.offset):
            wanted.setdefault(letter.partition, []).append(letter)
        found: dict[DeadLetterKey, bytes | None] = {}
        with self.clients.borrowed_consumer() as consumer:
            for partition, group in wanted.items():
                place = TopicPartition(self.topology.dead_letters_topic, partition)
                consumer.assign([place])
                for letter, value in _read_values(consumer, place, group):
                    found[letter.identity] = value
        return found


def patient_polls(consumer: KafkaConsumer, name: str) -> Iterator[list[Any]]:
    """Poll for ever, but not for a broker that says nothing.

    Raises: KafkaUnreachable.
    """
    heard_at = time.monotonic()
    while True:
        records = poll(consumer, name)
        if records:
            heard_at = time.monotonic()
        elif time.monotonic() - heard_at > SILENCE_SECONDS:
            raise KafkaUnreachable(
                f"{name}: the broker says that it holds more records and has sent none for "
                f"{SILENCE_SECONDS:g} s; look at the broker, then run the same command again"
            )
        yield records


def _read_values(
    consumer: KafkaConsumer, place: TopicPartition, letters: list[DeadLetterEntry]
) -> Iterator[tuple[DeadLetterEntry, bytes | None]]:
    waiting = list(reversed(letters))
    polls = patient_polls(consumer, place.topic)
    while waiting:
        consumer.seek(place, waiting[-1].offset)
        for record in next(polls):
            if not waiting:
                break
            if record.offset == waiting[-1].offset:
                value = read_dead_letter(record.value, record.headers).record.value
                yield waiting.pop(), value


def _letter(record: Any) -> DeadLetterEntry:
    read = read_dead_letter(record.value, record.headers)
    source = read.record
    return DeadLetterEntry(
        partition=record.partition,
        offset=record.offset,
        at_ms=record.timestamp,
        identity=(record.key, source.timestamp),
        source=replace(source, value=None),
        cause=read.cause,
        kind=read.kind,
        size_bytes=len(source.value or b""),
    )


@contextmanager
def open_index(topology: Topology) -> Iterator[DeadLetterIndex]:
    """A letterbox that has read the topic to its end.

    Raises: KafkaUnreachable; TopicDiffers.
    """
    check_topics(topology)
    clients = KafkaClients.of(
        topology,
        "dead-letters",
        timeout_seconds=topology.kafka.delivery_timeout_seconds,
        max_bytes=BATCH_BYTES,
    )
    box = DeadLetterIndex(topology, clients)
    try:
        box.read_on()
        yield box
    finally:
        clients.close()


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """What every chosen letter has; a filter that is empty lets all pass."""

    kind: str = ""  # this one, or any under it
    cause: str = ""  # a part of it, in any case
    topic: str = ""  # of the source
    since_ms: int = 0

    def has(self, letter: DeadLetterEntry) -> bool:
        return (
            (not self.kind or causes.within(letter.kind, self.kind))
            and self.cause.lower() in letter.cause.lower()
            and (not self.topic or letter.source.topic == self.topic)
            and letter.at_ms >= self.since_ms
        )


def choose(
    box: DeadLetterIndex, choice: DeadLetterFilter, addresses: Sequence[str] = ()
) -> list[DeadLetterEntry]:
    """The letters that are chosen, oldest first; those at `addresses` alone, if any are named.

    Raises: LetterUnknown.
    """
    named = {letter.identity: letter for letter in map(box.at, addresses)}
    found = named if addresses else box.letters
    chosen = [letter for letter in found.values() if choice.has(letter)]
    return sorted(chosen, key=lambda letter: (letter.at_ms, letter.partition, letter.offset))
