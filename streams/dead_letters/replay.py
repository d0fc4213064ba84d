"""Replay dead letters: claim them, send their records again, and record that they were sent.

A run that is cut short leaves claims in force. The next run looks in the source topic for what the
earlier one sent, records what it finds, and sends the rest: a dead letter is sent once, however
often `replay` runs.
"""

import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kafka import TopicPartition
from kafka.errors import KafkaError

from kae.streams.dead_letters.index import DeadLetterEntry, DeadLetterIndex
from kae.streams.dead_letters.records import (
    REPLAY_OF,
    REPLAY_RECORD_HEADER,
    REPLAYS,
    Claimed,
    Replayed,
    ReplayRecord,
    encode_replay_record,
)
from kae.streams.dead_letters.replay_plan import PlannedReplay, ReplayDecision, batches
from kae.streams.errors import KafkaUnreachable
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.reader import read_to_end

SourcePlace = tuple[int, int]  # partition and offset in the source topic


@dataclass(slots=True)
class ReplayOutcome:
    """What a run did: dead letters, each with the place of its replayed record."""

    sent: list[tuple[DeadLetterEntry, SourcePlace]]
    found: list[tuple[DeadLetterEntry, SourcePlace]]  # sent by an earlier run that was cut short
    busy: list[DeadLetterEntry]  # claimed by another run that may be active


def replay_dead_letters(index: DeadLetterIndex, replays: Sequence[PlannedReplay]) -> ReplayOutcome:
    """Send the records that are to be sent.

    Raises: KafkaUnreachable; the same command, run again, sends the rest.
    """
    run = _Run(index)
    for batch in batches([one for one in replays if one.decision is ReplayDecision.SEND]):
        run.replay(batch)
    return run.outcome


class _Run:
    def __init__(self, index: DeadLetterIndex) -> None:
        self.outcome = ReplayOutcome([], [], [])
        self._index = index
        self._topology = index.topology
        self._timeout = index.topology.kafka.delivery_timeout_seconds
        self._name = uuid.uuid4().hex

    def replay(self, batch: Sequence[PlannedReplay]) -> None:
        """Claim, send and record one batch."""
        unsent = self._finish_earlier_runs(batch)
        began = time.monotonic()
        claimed = self._claim(unsent)
        if time.monotonic() - began > self._timeout:
            raise KafkaUnreachable(
                f"{len(claimed)} dead letters were claimed and not sent: claiming took longer than "
                f"kafka.delivery_timeout_seconds ({self._timeout:g}); run the same command again"
            )
        sent = list(zip(claimed, self._send(claimed), strict=True))
        self._append([(one.entry, _replayed(one, self._name, place)) for one, place in sent])
        self.outcome.sent += [(one.entry, place) for one, place in sent]

    def _finish_earlier_runs(self, batch: Sequence[PlannedReplay]) -> list[PlannedReplay]:
        """Record what earlier runs have sent; returns what is still to be sent."""
        claims = [(one, claim) for one in batch if (claim := self._index.progress(one.entry).claim)]
        places = _find_sent(self._index.clients, [claim for _, claim in claims]) if claims else {}
        unsent = {one.entry.identity: one for one in batch}
        replayed: list[tuple[DeadLetterEntry, ReplayRecord]] = []
        for one, claim in claims:
            place = places.get(f"{one.entry.partition}/{claim.offset}")
            if place is not None:
                replayed.append((one.entry, _replayed(one, claim.run, place)))
                self.outcome.found.append((one.entry, place))
            elif self._may_be_active(one.entry):
                self.outcome.busy.append(one.entry)
            else:
                continue
            del unsent[one.entry.identity]
        self._append(replayed)
        return list(unsent.values())

    def _may_be_active(self, entry: DeadLetterEntry) -> bool:
        """A run sends within one delivery timeout of its claim, and waits one for the answers."""
        age_ms = time.time_ns() // 1_000_000 - self._index.progress(entry).claimed_ms
        return age_ms < 2000 * self._timeout

    def _claim(self, replays: Sequence[PlannedReplay]) -> list[PlannedReplay]:
        """Claim dead letters; returns those whose claim is in force."""
        places = {one.entry.identity: TopicPartition(one.topic, one.partition) for one in replays}
        with self._index.clients.borrowed_consumer() as consumer:
            ends = consumer.end_offsets(list(set(places.values())))
        self._append(
            (one.entry, self._claimed(one, ends[places[one.entry.identity]])) for one in replays
        )
        self._index.read_on()
        claimed = []
        for one in replays:
            if self._index.progress(one.entry).run == self._name:
                claimed.append(one)
            else:
                self.outcome.busy.append(one.entry)
        return claimed

    def _claimed(self, one: PlannedReplay, end: int) -> Claimed:
        return Claimed(
            source_ms=one.entry.source.timestamp,
            offset=one.entry.offset,
            run=self._name,
            after=self._index.progress(one.entry).run,
            topic=one.topic,
            partition=one.partition,
            from_offset=end,
        )

    def _send(self, replays: Sequence[PlannedReplay]) -> list[SourcePlace]:
        """Send source records again; returns their new places."""
        values = self._index.values(one.entry for one in replays)
        records = [one.record(values[one.entry.identity]) for one in replays]
        try:
            futures = [
                self._index.clients.producer.send(
                    record.topic,
                    key=record.key,
                    value=record.value,
                    headers=_headers(one.entry),
                    partition=record.partition,
                )
                for one, record in zip(replays, records, strict=True)
            ]
            stored = [future.get(timeout=self._timeout) for future in futures]
        except KafkaError as error:
            raise self._unacknowledged("events", error) from error
        return [(one.partition, one.offset) for one in stored]

    def _append(self, records: Iterable[tuple[DeadLetterEntry, ReplayRecord]]) -> None:
        """Store replay records, each in the partition of its dead letter."""
        topic = self._topology.dead_letters_topic
        try:
            futures = [
                self._index.clients.producer.send(
                    topic,
                    key=entry.identity[0],
                    value=encode_replay_record(record),
                    headers=[REPLAY_RECORD_HEADER],
                    partition=entry.partition,
                )
                for entry, record in records
            ]
            for future in futures:
                future.get(timeout=self._timeout)
        except KafkaError as error:
            raise self._unacknowledged("replay records", error) from error

    def _unacknowledged(self, what: str, error: KafkaError) -> KafkaUnreachable:
        return KafkaUnreachable(
            f"Kafka at {self._topology.kafka.bootstrap} has not acknowledged {what} of a replay: "
            f"{error!r}; {len(self.outcome.sent)} dead letters are replayed; run the same command "
            "again to replay the rest"
        )


def _headers(entry: DeadLetterEntry) -> list[tuple[str, bytes]]:
    """The original headers, and those of a replay."""
    headers = [
        (name, content or b"")
        for name, content in entry.source.headers
        if name not in (REPLAY_OF, REPLAYS)
    ]
    count = str(entry.replays + 1).encode()
    return [*headers, (REPLAY_OF, entry.address.encode()), (REPLAYS, count)]


def _replayed(one: PlannedReplay, run: str, place: SourcePlace) -> Replayed:
    return Replayed(one.entry.source.timestamp, one.entry.offset, run, one.topic, *place)


def _find_sent(clients: KafkaClients, claims: Sequence[Claimed]) -> dict[str, SourcePlace]:
    """The places of the records that runs with these claims sent, by the dead letter's address."""
    starts: dict[TopicPartition, int] = {}
    for claim in claims:
        place = TopicPartition(claim.topic, claim.partition)
        starts[place] = min(claim.from_offset, starts.get(place, claim.from_offset))
    with clients.borrowed_consumer() as consumer:
        begins = consumer.beginning_offsets(list(starts))
    held = {place: max(start, begins[place]) for place, start in starts.items()}
    found: dict[str, SourcePlace] = {}
    for record in read_to_end(clients, held):
        if address := dict(record.headers).get(REPLAY_OF):
            place_of_record = (record.partition, record.offset)
            found.setdefault(address.decode(errors="replace"), place_of_record)
    return found
