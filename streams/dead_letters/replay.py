"""Replaying: claim letters, send their records again, and mark them as replayed.

A run that is cut short leaves claims without an end. The next run looks in the source topic for
what the former sent, marks what it finds, and sends the rest; so a letter is sent once, however
often `replay` is run.
"""

import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from kae.streams.dead_letters import records
from kae.streams.dead_letters.index import DeadLetterEntry, DeadLetterIndex, patient_polls
from kae.streams.dead_letters.records import (
    REPLAY_OF,
    REPLAYS,
    Claimed,
    RecordHeaders,
    Replayed,
    ReplayRecord,
)
from kae.streams.dead_letters.replay_plan import Fate, PlannedReplay, batches
from kae.streams.errors import KafkaUnreachable
from kae.streams.kafka.log import KafkaClients

SourcePlace = tuple[int, int]  # partition and offset in the source topic


@dataclass(slots=True)
class ReplayOutcome:
    """What a replay came to: letters with the place in the source topic that they now lie at."""

    sent: list[tuple[DeadLetterEntry, SourcePlace]]
    found: list[tuple[DeadLetterEntry, SourcePlace]]  # sent by an earlier run that was cut short
    busy: list[DeadLetterEntry]  # claimed by another run that may still be at work


def replay(box: DeadLetterIndex, planned: Sequence[PlannedReplay]) -> ReplayOutcome:
    """Send what is planned to be sent.

    Raises: KafkaUnreachable when the brokers fall silent; the same command again goes on there.
    """
    run = _Run(box)
    for batch in batches([one for one in planned if one.fate is Fate.SEND]):
        run.carry_out(batch)
    return run.outcome


class _Run:
    def __init__(self, box: DeadLetterIndex) -> None:
        self.outcome = ReplayOutcome([], [], [])
        self._box = box
        self._topology = box.topology
        self._timeout = box.topology.kafka.delivery_timeout_seconds
        self._name = uuid.uuid4().hex

    def carry_out(self, batch: Sequence[PlannedReplay]) -> None:
        """Claim, send and mark one batch."""
        free = self._settle_former(batch)
        began = time.monotonic()
        self._write([(one.letter, self._claim(one, at)) for one, at in self._ends(free)])
        self._box.read_on()
        won = [one for one in free if self._holds(one.letter)]
        self.outcome.busy += [one.letter for one in free if not self._holds(one.letter)]
        if time.monotonic() - began > self._timeout:
            raise KafkaUnreachable(
                f"{len(won)} letters were claimed, and not sent: it took longer than "
                f"kafka.delivery_timeout_seconds ({self._timeout:g}); run the same command again"
            )
        places = self._send(won)
        self._write(
            [
                (one.letter, _replayed(one, self._name, place))
                for one, place in zip(won, places, strict=True)
            ]
        )
        self.outcome.sent += [(one.letter, place) for one, place in zip(won, places, strict=True)]

    def _holds(self, letter: DeadLetterEntry) -> bool:
        return self._box.replay(letter).run == self._name

    # What a run before this one has left.

    def _settle_former(self, batch: Sequence[PlannedReplay]) -> list[PlannedReplay]:
        """Mark what former runs have sent; returns what is left to send."""
        claims = [(one, claim) for one in batch if (claim := self._box.replay(one.letter).claim)]
        found = _find_sent(self._box.clients, [claim for _, claim in claims]) if claims else {}
        free = {one.letter.identity: one for one in batch}
        news: list[tuple[DeadLetterEntry, ReplayRecord]] = []
        for one, claim in claims:
            place = found.get(f"{one.letter.partition}/{claim.offset}")
            if place is not None:
                news.append((one.letter, _replayed(one, claim.run, place)))
                self.outcome.found.append((one.letter, place))
            elif self._may_be_at_work(one.letter):
                self.outcome.busy.append(one.letter)
            else:
                continue
            del free[one.letter.identity]
        self._write(news)
        return list(free.values())

    def _may_be_at_work(self, letter: DeadLetterEntry) -> bool:
        """A run sends within one delivery timeout of its claim, and another one later it knows."""
        age_ms = time.time_ns() // 1_000_000 - self._box.replay(letter).claimed_ms
        return age_ms < 2000 * self._timeout

    # What is written.

    def _ends(self, planned: Sequence[PlannedReplay]) -> list[tuple[PlannedReplay, int]]:
        """Each with the end of the partition that it will be sent to."""
        places = [TopicPartition(one.topic, one.partition) for one in planned]
        with self._box.clients.borrowed_consumer() as consumer:
            ends = consumer.end_offsets(list(set(places)))
        return [(one, ends[place]) for one, place in zip(planned, places, strict=True)]

    def _claim(self, one: PlannedReplay, end: int) -> Claimed:
        letter = one.letter
        return Claimed(
            source_ms=letter.source.timestamp,
            offset=letter.offset,
            run=self._name,
            after=self._box.replay(letter).run,
            topic=one.topic,
            partition=one.partition,
            from_offset=end,
        )

    def _send(self, planned: Sequence[PlannedReplay]) -> list[SourcePlace]:
        values = self._box.values(one.letter for one in planned)
        records = [one.record(values[one.letter.identity]) for one in planned]
        try:
            futures = [
                self._box.clients.producer.send(
                    record.topic,
                    key=record.key,
                    value=record.value,
                    headers=_headers(one.letter),
                    partition=record.partition,
                )
                for one, record in zip(planned, records, strict=True)
            ]
            stored = [future.get(timeout=self._timeout) for future in futures]
        except KafkaError as error:
            raise self._unanswered("records", error) from error
        return [(one.partition, one.offset) for one in stored]

    def _write(self, news: Iterable[tuple[DeadLetterEntry, ReplayRecord]]) -> None:
        topic = self._topology.dead_letters_topic
        try:
            futures = [
                self._box.clients.producer.send(
                    topic,
                    key=letter.identity[0],
                    value=records.encode(mark),
                    headers=[records.HEADER],
                    partition=letter.partition,
                )
                for letter, mark in news
            ]
            for future in futures:
                future.get(timeout=self._timeout)
        except KafkaError as error:
            raise self._unanswered("marks", error) from error

    def _unanswered(self, what: str, error: KafkaError) -> KafkaUnreachable:
        return KafkaUnreachable(
            f"Kafka at {self._topology.kafka.bootstrap} has not acknowledged {what} of a replay: "
            f"{error!r}; {len(self.outcome.sent)} letters are replayed; run the same command again "
            "to go on there"
        )


def _headers(letter: DeadLetterEntry) -> list[tuple[str, bytes]]:
    """The original headers, and of which letter and how often this is a replay."""
    headers = [
        (name, content or b"")
        for name, content in letter.source.headers
        if name not in (REPLAY_OF, REPLAYS)
    ]
    count = str(letter.replays + 1).encode()
    return [*headers, (REPLAY_OF, letter.address.encode()), (REPLAYS, count)]


def _replayed(one: PlannedReplay, run: str, place: SourcePlace) -> Replayed:
    return Replayed(one.letter.source.timestamp, one.letter.offset, run, one.topic, *place)


def _find_sent(clients: KafkaClients, claims: Sequence[Claimed]) -> dict[str, SourcePlace]:
    """Where the records of these claims lie, by the letter that they were sent for."""
    starts: dict[TopicPartition, int] = {}
    for claim in claims:
        place = TopicPartition(claim.topic, claim.partition)
        starts[place] = min(claim.from_offset, starts.get(place, claim.from_offset))
    found: dict[str, SourcePlace] = {}
    with clients.borrowed_consumer() as consumer:
        begins = consumer.beginning_offsets(list(starts))
        ends = consumer.end_offsets(list(starts))
        for place, start in starts.items():
            first = max(start, begins[place])
            for offset, headers in _read_headers(consumer, place, first, ends[place]):
                if letter := dict(headers).get(REPLAY_OF):
                    found.setdefault(letter.decode(errors="replace"), (place.partition, offset))
    return found


def _read_headers(
    consumer: KafkaConsumer, place: TopicPartition, first: int, end: int
) -> Iterator[tuple[int, RecordHeaders]]:
    consumer.assign([place])
    consumer.seek(place, first)
    polls = patient_polls(consumer, place.topic)
    while first < end:
        for record in next(polls):
            yield record.offset, record.headers
            first = record.offset + 1
