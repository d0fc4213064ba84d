"""Partitions that were added to a topic, and that a generation does not read.

The number of shards belongs to a generation. Kafka's partitioner sends a part of the keys to added
partitions at once, so what is in them is told, with the remedy, as soon as it is seen.
"""

import threading
from collections.abc import Mapping

import msgspec
import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from kae.streams.kafka.log import KafkaClients
from kae.streams.topology.types import Topology

log = structlog.get_logger()
EVERY_SECONDS = 10.0


class UnreadPartitions(msgspec.Struct, frozen=True):
    """A topic with partitions beyond those that the generation reads, `read` of `found`.

    `events` are the records in them, where somebody asked.
    """

    topic: str
    read: int
    found: int
    events: int
    remedy: str

    def __str__(self) -> str:
        beyond = self.found - self.read
        which = f"partition {self.read} is" if beyond == 1 else f"the last {beyond} are"
        return (
            f"topic {self.topic} has {self.found} partitions, and {which} not read"
            f"{f' ({self.events:,} events)' if self.events else ''}: {self.remedy}"
        )


def find_unread(topology: Topology, partitions: Mapping[str, int]) -> list[UnreadPartitions]:
    """Compare the partitions of each topic with those that the generation reads.

    Only kae writes to the other topics, and it names the partition.
    """
    items, terms = topology.items_topic, topology.terms_topic
    build = (
        f"generation {topology.generation} has {topology.shards} shards for good; build the next "
        f"one with shards: {partitions.get(items)} (docs/generations.md#more-shards)"
    )
    send = "send term events to partition 0, as `kae term` does, and those in the others once more"
    reads = ((items, topology.shards, build), (terms, 1, send))
    return [
        UnreadPartitions(topic, read, found, 0, remedy)
        for topic, read, remedy in reads
        if (found := partitions.get(topic, 0)) > read
    ]


def read_unread(topology: Topology, consumer: KafkaConsumer) -> list[UnreadPartitions]:
    """Ask the brokers, for the number of events too.

    Raises: KafkaError.
    """
    consumer.topics()  # what the consumer knows of the topics may be minutes old
    names = (topology.items_topic, topology.terms_topic)
    partitions = {name: len(consumer.partitions_for_topic(name) or ()) for name in names}
    return [
        msgspec.structs.replace(unread, events=_count_events(unread, consumer))
        for unread in find_unread(topology, partitions)
    ]


def _count_events(unread: UnreadPartitions, consumer: KafkaConsumer) -> int:
    places = [TopicPartition(unread.topic, number) for number in range(unread.read, unread.found)]
    begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
    return sum(ends[place] - begins[place] for place in places)


class TakenRecords(msgspec.Struct, frozen=True):
    """How many records a topic has taken, and how many of these time has not deleted yet."""

    taken: int = 0
    held: int = 0


def read_taken(consumer: KafkaConsumer, topic: str) -> TakenRecords:
    """Raises: KafkaError."""
    numbers = consumer.partitions_for_topic(topic) or ()
    places = [TopicPartition(topic, number) for number in numbers]
    if not places:
        return TakenRecords()
    begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
    return TakenRecords(sum(ends.values()), sum(ends[one] - begins[one] for one in places))


class PartitionWatch:
    """Looks for unread partitions while a worker runs, in a thread with its own consumer."""

    def __init__(self, topology: Topology, clients: KafkaClients) -> None:
        self._topology = topology
        self._clients = clients
        self._unread: tuple[UnreadPartitions, ...] = ()
        self._behaviours = TakenRecords()
        self._told: set[tuple[str, int]] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="partitions", daemon=True)

    @property
    def unread(self) -> tuple[UnreadPartitions, ...]:
        """What was found last; replaced as a whole."""
        return self._unread

    @property
    def behaviours(self) -> "TakenRecords":
        """What the behaviours topic had at the last look."""
        return self._behaviours

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Does not join the thread: it may be waiting for a broker that does not answer."""
        self._stopping.set()

    def _run(self) -> None:
        consumer: KafkaConsumer | None = None
        while not self._stopping.is_set():
            try:
                consumer = consumer or self._clients.consumer()
                self._note(read_unread(self._topology, consumer))
                if self._topology.behaviours is not None:
                    self._behaviours = read_taken(consumer, self._topology.behaviours_topic)
            except KafkaError as error:
                # What was found stays; others tell that no broker answers.
                log.debug("partitions_unknown", error=repr(error))
            self._stopping.wait(EVERY_SECONDS)
        if consumer is not None:
            consumer.close(autocommit=False)

    def _note(self, found: list[UnreadPartitions]) -> None:
        self._unread = tuple(found)
        for unread in found:
            if (unread.topic, unread.found) not in self._told:
                self._told.add((unread.topic, unread.found))
                log.error(
                    "partitions_not_read",
                    topic=unread.topic,
                    partitions=unread.found,
                    read=unread.read,
                    events=unread.events,
                    remedy=unread.remedy,
                )
