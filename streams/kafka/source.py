"""Whether a partition of a source topic still continues where its reader stands.

A topic that was deleted and made again, or that lost its end, fills up from a lower offset: what
lies below the reader's position would be passed over silently. One whose beginning was deleted by
retention lacks events that were not read. The brokers tell both, by the partition's bounds and by
the topic's id (KIP-516).
"""

from collections.abc import Mapping
from typing import NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import OffsetOutOfRangeError

from kae.streams.kafka.log import KafkaClients

# How long to look for a record that the embedded broker has, beyond the end that it tells.
PROBE_MS = 2000
REGISTRAR = "the registrar"


class SourcePosition(NamedTuple):
    """Where a reader goes on; `topic` is the id of the topic that it has read, empty if unknown."""

    next_offset: int
    topic: str = ""
    reader: str = "the shard"


class SourceBounds(NamedTuple):
    """A partition as the brokers have it: its first offset, its end, and the id of its topic."""

    name: str
    begins_at: int
    ends_at: int
    topic: str = ""


def is_another(at: SourcePosition, found: SourceBounds) -> bool:
    """Whether the offsets of the topic are not those that the reader knows."""
    if not at.next_offset:
        return False  # it has read nothing
    replaced = bool(at.topic and found.topic and at.topic != found.topic)
    return replaced or found.ends_at < at.next_offset


def count_lost(at: SourcePosition, found: SourceBounds, to_offset: int) -> int:
    """How many events a reader that goes on at `to_offset` never gets."""
    if not is_another(at, found):
        return max(0, to_offset - at.next_offset)
    # A topic that only lost its end begins with events that were read before.
    kept_its_id = bool(at.topic) and at.topic == found.topic
    return 0 if kept_its_id else to_offset


def find_break(at: SourcePosition, found: SourceBounds) -> str:
    """Why the reader cannot go on where it stands; empty if it can."""
    if is_another(at, found):
        if found.ends_at < at.next_offset:
            return (
                f"{found.name} ends at {found.ends_at}, {at.reader} goes on at {at.next_offset}: "
                "another topic, or one that lost its end"
            )
        return (
            f"{found.name} was deleted and made again: {at.reader} goes on at {at.next_offset} of "
            f"topic {at.topic}, and the brokers have topic {found.topic}"
        )
    if found.begins_at > at.next_offset:
        gone = found.begins_at - at.next_offset
        return (
            f"{found.name} begins at {found.begins_at}, {at.reader} goes on at {at.next_offset}: "
            f"{gone:,} events were deleted before it read them"
        )
    return ""


class SourceTopic:
    """The bounds of a topic's partitions, asked from the brokers."""

    def __init__(self, clients: KafkaClients, topic: str) -> None:
        self._clients = clients
        self._topic = topic
        self._ends_count_records = True

    def bounds(
        self, consumer: KafkaConsumer, positions: Mapping[int, int]
    ) -> dict[int, SourceBounds]:
        """The bounds of these partitions, each with a position that was read before the call.

        It reassigns the consumer.
        Raises: KafkaError.
        """
        places = {number: TopicPartition(self._topic, number) for number in positions}
        if not places:
            return {}
        topic = self._clients.topic_id(self._topic)
        begins = consumer.beginning_offsets(list(places.values()))
        ends = consumer.end_offsets(list(places.values()))
        return {
            number: SourceBounds(
                f"{self._topic}/{number}",
                begins[place],
                self._end(consumer, place, ends[place], positions[number]),
                topic,
            )
            for number, place in places.items()
        }

    def _end(self, consumer: KafkaConsumer, place: TopicPartition, end: int, position: int) -> int:
        if end >= position:
            return end
        # The embedded broker's end counts batches: there the last record that was read lies beyond.
        if self._ends_count_records and _holds(consumer, place, position - 1):
            self._ends_count_records = False
        return end if self._ends_count_records else position


def _holds(consumer: KafkaConsumer, place: TopicPartition, offset: int) -> bool:
    """Whether a partition has a record at an offset, or after it."""
    consumer.assign([place])
    consumer.seek(place, offset)
    try:
        return bool(consumer.poll(PROBE_MS, max_records=1))
    except OffsetOutOfRangeError:
        return False
    finally:
        consumer.unsubscribe()


def read_bounds(
    clients: KafkaClients, topic: str, positions: Mapping[int, int]
) -> dict[int, SourceBounds]:
    """The bounds of a topic's partitions, asked once.

    Raises: KafkaError.
    """
    with clients.borrowed_consumer() as consumer:
        return SourceTopic(clients, topic).bounds(consumer, positions)
