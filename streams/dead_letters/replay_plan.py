"""Plan a replay: which dead letters are sent, repaired how, and which would be refused again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from pathlib import Path

import msgspec

from kae.streams.dead_letters.index import DeadLetterEntry, DeadLetterIndex
from kae.streams.dead_letters.records import SourceRecord, replay_topic
from kae.streams.errors import RepairInvalid
from kae.streams.events.behaviours import decode_behaviour
from kae.streams.events.envelope import Undecodable
from kae.streams.events.items import check_home, decode_item
from kae.streams.events.terms import decode_term, rules_of
from kae.streams.kafka.partitioner import partition_of_key
from kae.streams.topology.types import Topology


class Repair(msgspec.Struct, frozen=True):
    """One line of a file of repairs; other keys are ignored.

    Without `key`, the record's key is the event's subject, as item events require.
    """

    letter: str
    event: msgspec.Raw
    key: str | None = None

    @property
    def value(self) -> bytes:
        return bytes(self.event)


class _Subject(msgspec.Struct, frozen=True):
    subject: str


def read_repairs(file: Path, letter: str | None) -> dict[str, Repair]:
    """The repairs in a file, by address: the event for `letter`, or one repair a line.

    Raises: RepairInvalid, which names the line.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise RepairInvalid(f"{file}: cannot be read: {error.strerror}") from error
    if letter is not None:
        return {letter: Repair(letter, msgspec.Raw(content))}
    repairs: dict[str, Repair] = {}
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            repair = msgspec.json.decode(line, type=Repair)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RepairInvalid(
                f"{file}:{number}: {error}; a line is "
                '{"letter": "PARTITION/OFFSET", "event": {...}}; to give only the event, name '
                "the dead letter on the command line"
            ) from error
        if repair.letter in repairs:
            raise RepairInvalid(f"{file}:{number}: {repair.letter} is repaired twice; keep one")
        repairs[repair.letter] = repair
    if not repairs:
        raise RepairInvalid(f"{file}: holds no line; write one repair a line")
    return repairs


def repaired_key(repair: Repair, before: bytes | None) -> bytes | None:
    """The key of a repaired event: its own, its subject, or the dead letter's."""
    if repair.key is not None:
        return repair.key.encode()
    try:
        return msgspec.json.decode(repair.value, type=_Subject).subject.encode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # `plan_replay` checks the event as a whole, and says what it lacks.
        return before


# Dead letters whose values are in memory at once.
BATCH = 200


class ReplayDecision(StrEnum):
    """What a replay does with a dead letter."""

    SEND = "send"
    REPLAYED = "replayed already"
    LIMIT = "beyond limits.replays"
    KEPT = "in its topic, which every build of samples reads again"
    FOREIGN = "of a topic that is not this topology's"


@dataclass(frozen=True, slots=True)
class PlannedReplay:
    """One dead letter, and what a replay does with it."""

    entry: DeadLetterEntry
    decision: ReplayDecision
    topic: str  # to send it to: the source's, or the items topic for a row of a feed
    partition: int
    repair: Repair | None = None
    refused_as: str | None = None  # the kind of cause that a worker would refuse it for

    def record(self, value: bytes | None) -> SourceRecord:
        """The record to send, except for its headers, given the dead letter's value."""
        source = self.entry.source
        return SourceRecord(
            self.topic,
            self.partition,
            source.offset,
            source.timestamp,
            repaired_key(self.repair, source.key) if self.repair else source.key,
            self.repair.value if self.repair else value,
            source.headers,
        )


def plan_replay(
    index: DeadLetterIndex,
    entries: Sequence[DeadLetterEntry],
    repairs: Mapping[str, Repair],
    force: bool,
) -> list[PlannedReplay]:
    """Plan the replay of dead letters; `force` lifts limits.replays.

    Raises: RepairInvalid when a repaired event would be refused again; KafkaUnreachable.
    """
    decided = [_decide(index, entry, repairs.get(entry.address), force) for entry in entries]
    return [seen for batch in batches(decided) for seen in _check_batch(index, batch)]


def batches(replays: Sequence[PlannedReplay]) -> Iterator[list[PlannedReplay]]:
    """Split into batches whose values fit into memory."""
    rest = iter(replays)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _decide(
    index: DeadLetterIndex, entry: DeadLetterEntry, repair: Repair | None, force: bool
) -> PlannedReplay:
    topology, source = index.topology, entry.source
    decision, topic = ReplayDecision.SEND, replay_topic(source.topic, topology.items_topic)
    if topic not in (topology.items_topic, topology.terms_topic, topology.behaviours_topic):
        decision = ReplayDecision.FOREIGN
    elif not index.is_open(entry):
        decision = ReplayDecision.REPLAYED
    elif topic == topology.behaviours_topic and repair is None:
        decision = ReplayDecision.KEPT
    elif entry.replays >= topology.limits.replays and not force:
        decision = ReplayDecision.LIMIT
    return PlannedReplay(entry, decision, topic, _partition(topology, entry, topic, repair), repair)


def _partition(
    topology: Topology, entry: DeadLetterEntry, topic: str, repair: Repair | None
) -> int:
    """The key's partition; without a key, the source's partition, and 0 for a row of a feed."""
    source = entry.source
    key = repaired_key(repair, source.key) if repair else source.key
    if topic != topology.items_topic or key is None:
        return source.partition if topic == source.topic else 0
    return partition_of_key(key, topology.shards)


def _check_batch(index: DeadLetterIndex, batch: Sequence[PlannedReplay]) -> Iterator[PlannedReplay]:
    to_send = [one.entry for one in batch if one.decision is ReplayDecision.SEND]
    values = index.values(to_send)
    for one in batch:
        if one.decision is not ReplayDecision.SEND:
            yield one
            continue
        record = one.record(values[one.entry.identity])
        refusal = find_refusal(index.topology, record)
        if refusal is not None and one.repair is not None:
            raise RepairInvalid(
                f"{one.entry.address}: the repaired event would be refused again: {refusal}; "
                "nothing was sent"
            )
        kind = refusal.kind if refusal else None
        yield replace(one, refused_as=kind)


def find_refusal(topology: Topology, record: SourceRecord) -> Undecodable | None:
    """Why a worker with this topology would fail to decode the record; None if it would not."""
    limit = topology.limits.event_bytes
    try:
        if record.topic == topology.items_topic:
            change = decode_item(record.key, record.value, limit)
            check_home(change.id, record.partition, topology.shards)
        elif record.topic == topology.behaviours_topic:
            decode_behaviour(record.key, record.value, limit, record.timestamp, users=True)
        else:
            rules = rules_of(topology)
            decode_term(record.key, record.value, limit, record.timestamp, rules)
    except Undecodable as refusal:
        return refusal
    return None
