"""The letterbox: the dead letters topic, folded into letters and what became of each."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition

from kae.streams.dead_letters import REPLAY_OF, REPLAYS, NotALetter, SourceRecord, read_letter
from kae.streams.errors import KafkaUnreachable, LetterUnknown
from kae.streams.kafka_log import KafkaClients, poll
from kae.streams.letters import marks
from kae.streams.letters.marks import Replay
from kae.streams.topic_plan import BATCH_BYTES
from kae.streams.topics import check_topics
from kae.streams.topology import Topology

# A partition that holds more tells it within this time.
SILENCE_SECONDS = 10.0

# The same source record has one letter, also where a crash wrote it twice.
Identity = tuple[bytes, int]  # key of the letter, time of the source record


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter without its value; `source.value` is always None."""

    partition: int
    offset: int
    at_ms: int
    identity: Identity
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
class Letterbox:
    """All letters of the topic, in the order in which each partition holds them."""

    topology: Topology
    clients: KafkaClients
    letters: dict[Identity, Letter] = field(default_factory=dict)
    deaths: dict[str, Letter] = field(default_factory=dict)  # by the letter that was sent again
    foreign: int = 0  # records that are neither letter nor mark
    _replays: dict[Identity, Replay] = field(default_factory=dict)
    _addresses: dict[str, Identity] = field(default_factory=dict)
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
            if marks.is_mark(record.headers):
                mark = marks.decode(record.value)
                replay = self._replays.setdefault((record.key, mark.source_ms), Replay())
                replay.apply(mark, record.timestamp)
                return
            letter = _letter(record)
        except (NotALetter, msgspec.DecodeError):
            self.foreign += 1
            return
        self.letters.setdefault(letter.identity, letter)
        self._addresses[letter.address] = letter.identity
        if letter.replay_of is not None:
            self.deaths.setdefault(letter.replay_of, letter)

    def replay(self, letter: Letter) -> Replay:
        """What became of a letter."""
        return self._replays.get(letter.identity) or Replay()

    def is_open(self, letter: Letter) -> bool:
        return self.replay(letter).done is None

    def at(self, address: str) -> Letter:
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

    def values(self, letters: Iterable[Letter]) -> dict[Identity, bytes | None]:
        """The source records' values, read again.

        Raises: LogTruncated when retention has taken a letter meanwhile; KafkaUnreachable.
        """
        wanted: dict[int, list[Letter]] = {}
        for letter in sorted(letters, key=lambda one: one.offset):
            wanted.setdefault(letter.partition, []).append(letter)
        found: dict[Identity, bytes | None] = {}
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
    consumer: KafkaConsumer, place: TopicPartition, letters: list[Letter]
) -> Iterator[tuple[Letter, bytes | None]]:
    waiting = list(reversed(letters))
    polls = patient_polls(consumer, place.topic)
    while waiting:
        consumer.seek(place, waiting[-1].offset)
        for record in next(polls):
            if not waiting:
                break
            if record.offset == waiting[-1].offset:
                value = read_letter(record.value, record.headers).record.value
                yield waiting.pop(), value


def _letter(record: Any) -> Letter:
    read = read_letter(record.value, record.headers)
    source = read.record
    return Letter(
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
def open_letterbox(topology: Topology) -> Iterator[Letterbox]:
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
    box = Letterbox(topology, clients)
    try:
        box.read_on()
        yield box
    finally:
        clients.close()
