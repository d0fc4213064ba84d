"""Repairs: events from a file that take the place of those that died.

Planning a replay: what would be sent, what would not, what would die again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from pathlib import Path

import msgspec

from kae.streams.dead_letters.index import DeadLetterEntry, DeadLetterIndex
from kae.streams.dead_letters.records import SourceRecord, home_topic
from kae.streams.errors import RepairInvalid
from kae.streams.events.envelope import Undecodable
from kae.streams.events.items import check_home, decode_item
from kae.streams.events.terms import decode_term, rules_of
from kae.streams.kafka.partitioner import home_of
from kae.streams.topology.types import Topology


class Repair(msgspec.Struct, frozen=True):
    """One line of a file of repairs; other names in it are ignored.

    Without `key` it is the event's subject, as item events must have it.
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
    """The repairs of a file by letter: the event for `letter`, else one repair a line.

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
                '{"letter": "PARTITION/OFFSET", "event": {...}}; to give the event alone, name '
                "the letter on the command line"
            ) from error
        if repair.letter in repairs:
            raise RepairInvalid(f"{file}:{number}: {repair.letter} is repaired twice; keep one")
        repairs[repair.letter] = repair
    if not repairs:
        raise RepairInvalid(f"{file}: holds no line; give one repair a line")
    return repairs


def key_of(repair: Repair, before: bytes | None) -> bytes | None:
    """The key to send a repaired event with: its own, its subject, or the one it had."""
    if repair.key is not None:
        return repair.key.encode()
    try:
        return msgspec.json.decode(repair.value, type=_Subject).subject.encode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # What the event lacks is said when it is looked at as a whole.
        return before


# Letters whose values are in memory at once.
BATCH = 200


class Fate(StrEnum):
    """What a replay does with a letter."""

    SEND = "send"
    REPLAYED = "replayed already"
    LIMIT = "beyond limits.replays"
    FOREIGN = "of a topic that is not this topology's"


@dataclass(frozen=True, slots=True)
class PlannedReplay:
    """One letter and what would become of it."""

    letter: DeadLetterEntry
    fate: Fate
    topic: str  # to which it would be sent: the source's, or that of items for a row of a feed
    partition: int
    repair: Repair | None = None
    dies_of: str | None = None  # the kind of cause that this installation would refuse it for

    def record(self, value: bytes | None) -> SourceRecord:
        """The record to send, but for its headers, given the letter's value."""
        source = self.letter.source
        return SourceRecord(
            self.topic,
            self.partition,
            source.offset,
            source.timestamp,
            key_of(self.repair, source.key) if self.repair else source.key,
            self.repair.value if self.repair else value,
            source.headers,
        )


def plan(
    box: DeadLetterIndex,
    letters: Sequence[DeadLetterEntry],
    repairs: Mapping[str, Repair],
    force: bool,
) -> list[PlannedReplay]:
    """Plan the replay of these letters; `force` lifts the limit of replays.

    Raises: RepairInvalid when a repaired event would die again; KafkaUnreachable.
    """
    decided = [_decide(box, letter, repairs.get(letter.address), force) for letter in letters]
    return [seen for batch in batches(decided) for seen in _foresee_all(box, batch)]


def batches(planned: Sequence[PlannedReplay]) -> Iterator[list[PlannedReplay]]:
    """Cut into pieces whose values fit into memory."""
    rest = iter(planned)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _decide(
    box: DeadLetterIndex, letter: DeadLetterEntry, repair: Repair | None, force: bool
) -> PlannedReplay:
    topology, source = box.topology, letter.source
    fate, topic = Fate.SEND, home_topic(source.topic, topology.items_topic)
    if topic not in (topology.items_topic, topology.terms_topic):
        fate = Fate.FOREIGN
    elif not box.is_open(letter):
        fate = Fate.REPLAYED
    elif letter.replays >= topology.limits.replays and not force:
        fate = Fate.LIMIT
    return PlannedReplay(letter, fate, topic, _partition(topology, letter, topic, repair), repair)


def _partition(
    topology: Topology, letter: DeadLetterEntry, topic: str, repair: Repair | None
) -> int:
    """Where the key belongs; a record without a key goes where it was, a row without one to 0."""
    source = letter.source
    key = key_of(repair, source.key) if repair else source.key
    if topic != topology.items_topic or key is None:
        return source.partition if topic == source.topic else 0
    return home_of(key, topology.shards)


def _foresee_all(box: DeadLetterIndex, batch: Sequence[PlannedReplay]) -> Iterator[PlannedReplay]:
    to_send = [one.letter for one in batch if one.fate is Fate.SEND]
    values = box.values(to_send)
    for one in batch:
        if one.fate is not Fate.SEND:
            yield one
            continue
        record = one.record(values[one.letter.identity])
        refusal = foresee_deaths(box.topology, record)
        if refusal is not None and one.repair is not None:
            raise RepairInvalid(
                f"{one.letter.address}: the repaired event would die again: {refusal}; nothing was "
                "sent"
            )
        kind = refusal.kind if refusal else None
        yield replace(one, dies_of=kind)


def foresee_deaths(topology: Topology, record: SourceRecord) -> Undecodable | None:
    """What a worker of this installation would refuse the record for, as far as decoding goes."""
    limit = topology.limits.event_bytes
    try:
        if record.topic == topology.items_topic:
            change = decode_item(record.key, record.value, limit)
            check_home(change.id, record.partition, topology.shards)
        else:
            rules = rules_of(topology)
            decode_term(record.key, record.value, limit, record.timestamp, rules)
    except Undecodable as refusal:
        return refusal
    return None
