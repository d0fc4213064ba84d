"""What was published, as the broker acknowledged it: the oracle's input, shard by shard."""

import random
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from tests.live.refold import Reading
from tests.sinks.oracle import active_terms, expected_counts, expected_hash, read_again

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Item
from kae.sinks.log.edits import Counts
from kae.sinks.log.term_changes import TermChange
from kae.sinks.store.plan import Change
from kae.sinks.terms.bindings import Bindings
from kae.streams.events.cloudevents import Headers
from kae.streams.events.envelope import Undecodable
from kae.streams.events.items import decode_item, encode_item_delete, encode_item_upsert
from kae.streams.events.term_data import BindData, ReleaseData, SelectorData
from kae.streams.events.terms import TermRules, decode_term, encode_term
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.partitioner import partition_of
from kae.streams.topology.types import Topology

SOURCE = "/tests"


@dataclass(frozen=True, slots=True)
class Event:
    """One record for a topic of the line; a partition only where the key does not decide."""

    key: bytes | None
    value: bytes | None
    is_term: bool = False
    partition: int | None = None
    headers: Headers = ()


class Ledger:
    """Publishes events and keeps what each partition holds, in its order."""

    def __init__(self, topology: Topology, codebook: Codebook) -> None:
        self._topology = topology
        self._encoder = Encoder(codebook)
        self._rules = TermRules(
            topology.terms.default_category, codebook.position_of, topology.terms.items_per_selector
        )
        self._producer = KafkaProducer(
            bootstrap_servers=topology.kafka.bootstrap, acks="all", linger_ms=2
        )
        self._lock = threading.Lock()
        self._records: dict[int, list[tuple[int, Change | None]]] = defaultdict(list)
        self._terms: list[tuple[int, TermChange]] = []
        self._read_again: dict[int, list[tuple[int, int]]] = defaultdict(list)

    def publish(self, events: Sequence[Event]) -> list[tuple[int, int]]:
        """Send and wait until all are stored; returns partition and offset of each."""
        sent = []
        for event in events:
            topic = self._topology.terms_topic if event.is_term else self._topology.items_topic
            future = self._producer.send(
                topic,
                key=event.key,
                value=event.value,
                partition=event.partition,
                headers=list(event.headers),
            )
            sent.append((event, future))
        places = []
        for event, future in sent:
            stored = future.get(timeout=60)
            places.append((stored.partition, stored.offset))
            with self._lock:
                if event.is_term:
                    term = decode_term(
                        event.key, event.value, 1 << 20, 0, self._rules, event.headers
                    )
                    self._terms.append((stored.offset, term))
                else:
                    change = self._decoded(event, stored.partition)
                    self._records[stored.partition].append((stored.offset, change))
        return places

    def publish_dead(self, event: Event) -> tuple[int, int]:
        """Publish an event that decodes and yet has to become a dead letter; where it lies."""
        stored = self._producer.send(
            self._topology.items_topic, key=event.key, value=event.value
        ).get(timeout=60)
        with self._lock:
            self._records[stored.partition].append((stored.offset, None))
        return stored.partition, stored.offset

    def note_others(self) -> list[Event]:
        """Take what others have published to the items topic since into the account."""
        ends = self.ends()
        places = {TopicPartition(self._topology.items_topic, p): at for p, at in ends.items()}
        consumer = KafkaConsumer(bootstrap_servers=self._topology.kafka.bootstrap, group_id=None)
        consumer.assign(list(places))
        for place, at in places.items():
            consumer.seek(place, at)
        missing = sum(consumer.end_offsets(list(places)).values()) - sum(ends.values())
        others: list[Event] = []
        while len(others) < missing:
            for place, records in consumer.poll(500).items():
                for record in records:
                    headers = tuple(record.headers)
                    event = Event(record.key, record.value, False, place.partition, headers)
                    change = self._decoded(event, place.partition)
                    self._records[place.partition].append((record.offset, change))
                    others.append(event)
        consumer.close()
        return others

    def home(self, item_id: str) -> int:
        """The partition that this item belongs to."""
        return partition_of(item_id, self._topology.shards)

    def published(self) -> int:
        with self._lock:
            return sum(len(records) for records in self._records.values())

    def ends(self) -> dict[int, int]:
        """The next offset of each partition of the items topic."""
        return {p: len(self._records[p]) for p in range(self._topology.shards)}

    def note_read_again(self, shard: int, at: int, to: int) -> None:
        """Where the shard stood when it was reset, and to where; in the order of its resets."""
        self._read_again[shard].append((at, to))

    def counts(self, shard: int) -> Counts:
        """What is read again counts again."""
        return expected_counts(read_again(self._changes(shard), self._read_again[shard]))

    def hash(self, shard: int, encoder: Encoder | None = None) -> str:
        """As the codebook at hand has it, or another one."""
        changes = (change for change in self._changes(shard) if change is not None)
        return self._hash(changes, encoder)

    def hash_of(self, shard: int, events: Iterable[Event]) -> str:
        """The hash of a shard that had got these item events and nothing else."""
        changes = [self._decoded(event, shard) for event in events]
        return self._hash(change for change in changes if change is not None)

    def _hash(self, changes: Iterable[Change], encoder: Encoder | None = None) -> str:
        terms = active_terms(change for _, change in sorted(self._terms, key=lambda t: t[0]))
        return expected_hash(list(changes), terms.values(), encoder or self._encoder)

    def bindings_version(self) -> int:
        """The version of the bindings log that holds every term event published here."""
        clients = KafkaClients(
            self._topology.kafka.bootstrap, "ledger", timeout_seconds=30, max_bytes=1 << 20
        )
        bindings = Bindings()
        Reading(clients, self._topology.bindings_topic, 0, bindings.apply).read_on()
        clients.close()
        return bindings.version if bindings.source.next_offset == len(self._terms) else -1

    def close(self) -> None:
        self._producer.close()

    def _decoded(self, event: Event, partition: int) -> Change | None:
        try:
            change = decode_item(
                event.key, event.value, self._topology.limits.event_bytes, event.headers
            )
        except Undecodable:
            return None
        return change if self.home(change.id) == partition else None

    def _changes(self, shard: int) -> list[Change | None]:
        records = sorted(self._records[shard], key=lambda record: record[0])
        assert [offset for offset, _ in records] == list(range(len(records)))
        return [change for _, change in records]


def upserts(items: Iterable[Item], revision: int = 1) -> list[Event]:
    return [Event(item.id.encode(), encode_item_upsert(item, revision, SOURCE)) for item in items]


def deletes(items: Iterable[Item], revision: int) -> list[Event]:
    return [
        Event(item.id.encode(), encode_item_delete(item.id, revision, SOURCE)) for item in items
    ]


def undecodables(count: int) -> list[Event]:
    return [Event(b"bad", b'{"specversion": "1.0"', partition=n % 2) for n in range(count)]


def bind(term: str, revision: int = 1, **selector: object) -> Event:
    data = BindData(revision=revision, selector=SelectorData(**selector))  # type: ignore[arg-type]
    return Event(term.encode(), encode_term(term, data, SOURCE), is_term=True)


def release(term: str, revision: int) -> Event:
    return Event(term.encode(), encode_term(term, ReleaseData(revision), SOURCE), is_term=True)


def storm(items: Sequence[Item], seed: int) -> list[Event]:
    """Every item once, some again with other content, some deleted, some stale, a few broken."""
    chance = random.Random(seed)
    first = upserts(items)
    changed = [
        Item(item.id, other.title, other.description, other.fields)
        for item, other in zip(chance.sample(items, 250), chance.sample(items, 250), strict=True)
    ]
    later = [
        *upserts(changed, revision=2),
        *deletes(chance.sample(items, 150), revision=3),
        *chance.sample(first, 300),
        *undecodables(24),
    ]
    events = list(first)
    for event in later:
        events.insert(chance.randrange(len(events)), event)
    return events


def twenty_terms(items: Sequence[Item]) -> list[Event]:
    """Binds and releases of twenty terms over real words, brands and items."""
    phrases = ["black", "toner cartridge", "notebook", "usb", "cable", "ink", "laser", "memory"]
    brands = ["hp", "epson", "canon", "lenovo", "asus", "dell"]
    terms = [bind(f"phrase{n}", match=phrase) for n, phrase in enumerate(phrases)]
    terms += [bind(f"brand{n}", where=f'brand = "{b}"') for n, b in enumerate(brands)]
    terms += [bind(f"list{n}", items=[i.id for i in items[n::700]]) for n in range(4)]
    terms += [bind("both", match="black", where='brand = "hp"'), bind("none", match="zzz qqq")]
    terms += [release("phrase3", 2), bind("brand1", 2, match="photo"), bind("list0", 0, match="x")]
    return terms
