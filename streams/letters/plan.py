"""Planning a replay: what would be sent, what would not, what would die again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice

from kae.streams.dead_letters import SourceRecord, home_topic
from kae.streams.errors import RepairInvalid
from kae.streams.events import Undecodable, decode_item, decode_term
from kae.streams.letters.letterbox import Letter, Letterbox
from kae.streams.letters.repairs import Repair, key_of
from kae.streams.partitioner import check_home, home_of
from kae.streams.term_events import rules_of
from kae.streams.topology import Topology

# Letters whose values are in memory at once.
BATCH = 200


class Fate(StrEnum):
    """What a replay does with a letter."""

    SEND = "send"
    REPLAYED = "replayed already"
    LIMIT = "beyond limits.replays"
    FOREIGN = "of a topic that is not this topology's"


@dataclass(frozen=True, slots=True)
class Planned:
    """One letter and what would become of it."""

    letter: Letter
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
    box: Letterbox, letters: Sequence[Letter], repairs: Mapping[str, Repair], force: bool
) -> list[Planned]:
    """Plan the replay of these letters; `force` lifts the limit of replays.

    Raises: RepairInvalid when a repaired event would die again; KafkaUnreachable.
    """
    decided = [_decide(box, letter, repairs.get(letter.address), force) for letter in letters]
    return [seen for batch in batches(decided) for seen in _foresee_all(box, batch)]


def batches(planned: Sequence[Planned]) -> Iterator[list[Planned]]:
    """Cut into pieces whose values fit into memory."""
    rest = iter(planned)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _decide(box: Letterbox, letter: Letter, repair: Repair | None, force: bool) -> Planned:
    topology, source = box.topology, letter.source
    fate, topic = Fate.SEND, home_topic(source.topic, topology.items_topic)
    if topic not in (topology.items_topic, topology.terms_topic):
        fate = Fate.FOREIGN
    elif not box.is_open(letter):
        fate = Fate.REPLAYED
    elif letter.replays >= topology.limits.replays and not force:
        fate = Fate.LIMIT
    return Planned(letter, fate, topic, _partition(topology, letter, topic, repair), repair)


def _partition(topology: Topology, letter: Letter, topic: str, repair: Repair | None) -> int:
    """Where the key belongs; a record without a key goes where it was, a row without one to 0."""
    source = letter.source
    key = key_of(repair, source.key) if repair else source.key
    if topic != topology.items_topic or key is None:
        return source.partition if topic == source.topic else 0
    return home_of(key, topology.shards)


def _foresee_all(box: Letterbox, batch: Sequence[Planned]) -> Iterator[Planned]:
    to_send = [one.letter for one in batch if one.fate is Fate.SEND]
    values = box.values(to_send)
    for one in batch:
        if one.fate is not Fate.SEND:
            yield one
            continue
        record = one.record(values[one.letter.identity])
        refusal = foresee(box.topology, record)
        if refusal is not None and one.repair is not None:
            raise RepairInvalid(
                f"{one.letter.address}: the repaired event would die again: {refusal}; nothing was "
                "sent"
            )
        kind = refusal.kind if refusal else None
        yield replace(one, dies_of=kind)


def foresee(topology: Topology, record: SourceRecord) -> Undecodable | None:
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
