"""What `kae status` prints: lag, versions and event counts, from Kafka and a replica."""

from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import closing
from typing import NamedTuple

import msgspec
from kafka import KafkaConsumer, TopicPartition

from kae.sinks.log.protocol import LOG_ENDED_REMEDY
from kae.streams.clock import now_ms
from kae.streams.dead_letters.answers import DeadLetterCounts, count_dead_letters
from kae.streams.dead_letters.index import DeadLetterIndex
from kae.streams.kafka.lag import FETCH_BYTES, Lag, read_lags
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.source import REGISTRAR, SourcePosition, SourceTopic, find_break
from kae.streams.kafka.topics import find_topics
from kae.streams.kafka.unread_partitions import UnreadPartitions, read_unread
from kae.streams.replica_api.client import ReplicaClient
from kae.streams.replica_api.status import (
    BindingsLogShown,
    CountsShown,
    GenerationsShown,
    ReplicaShown,
    ShardShown,
    Status,
)
from kae.streams.shards.asking import ask
from kae.streams.shards.requests import stopped_remedy
from kae.streams.topology.types import Topology


class ShardLag(msgspec.Struct, frozen=True):
    """One shard; `lag_seconds` is the age of the first event that is not indexed yet.

    A paused shard may be late: that is no problem. `stopped` says why the shard cannot read on
    where it stands.
    """

    shard: int
    lag_events: int | None
    lag_seconds: float | None
    version: int
    epoch: int
    next_offset: int
    bindings_version: int
    live: int
    counts: CountsShown
    balanced: bool
    paused: bool
    late: bool
    stopped: str = ""


class IndexStatus(msgspec.Struct, frozen=True):
    """What `kae status --json` prints; `problems` says what is out of bounds, a sentence each.

    `generation` is the one that the replica answers from; `prepared` are the others that it
    follows. What could not be asked is null, and `unasked` says why.
    """

    generation: int
    prepared: list[int]
    problems: list[str]
    lag_events: int | None
    lag_seconds: float | None
    balanced: bool | None
    items: int | None
    counts: CountsShown | None
    dead_letters: DeadLetterCounts | None
    shards: list[ShardLag]
    terms_lag_events: int | None
    bindings: BindingsLogShown | None
    replicas: list[ReplicaShown]
    unasked: list[str]


class Breaks(NamedTuple):
    """Why shards, by number, and the registrar cannot read on; empty if they can."""

    shards: dict[int, str]
    terms: str


def read_status(topology: Topology, replica: ReplicaClient) -> IndexStatus:
    """Ask the replica for the shards' positions, and the brokers for the topics' ends.

    What cannot be asked is None, and `unasked` says why.
    """
    unasked: list[str] = []
    generations = ask(unasked, replica.generations)
    status = None
    if generations is not None:
        status = ask(unasked, lambda: replica.status(generation=generations.serving))
    topics, missing = ask(unasked, lambda: find_topics(topology)) or (set(), [])
    unasked += missing
    lags: Mapping[TopicPartition, Lag] = {}
    breaks, unread = Breaks({}, ""), list[UnreadPartitions]()
    dead_letters = None
    if topics:
        with KafkaClients.for_reading(topology, "status") as clients:
            places = _places(topology, status, topics)
            lags = ask(unasked, lambda: _read_lags(clients, places)) or {}
            if status is not None:
                served = _served(topology, status)
                found = ask(unasked, lambda: _read_breaks(topology, status, clients, topics))
                breaks = found or breaks
                unread = ask(unasked, lambda: _read_unread(clients, served)) or []
            if topology.dead_letters_topic in topics:
                dead_letters = ask(unasked, lambda: _read_dead_letters(topology, clients))
    return _status(topology, generations, status, lags, breaks, unread, dead_letters, unasked)


def _places(
    topology: Topology, status: Status | None, topics: Container[str]
) -> dict[TopicPartition, int]:
    """The source partitions that there are, and where the replica's view stands in each."""
    if status is None:
        return {}
    places = {
        TopicPartition(topology.items_topic, shard.shard): shard.source_next_offset
        for shard in status.shards
    }
    places[TopicPartition(topology.terms_topic, 0)] = status.bindings.source_next_offset
    return {place: offset for place, offset in places.items() if place.topic in topics}


def _read_lags(
    clients: KafkaClients, places: Mapping[TopicPartition, int]
) -> dict[TopicPartition, Lag]:
    with closing(clients.consumer(FETCH_BYTES)) as consumer:
        return read_lags(consumer, places)


def _read_breaks(
    topology: Topology, status: Status, clients: KafkaClients, topics: Container[str]
) -> Breaks:
    with clients.borrowed_consumer() as consumer:
        shards, terms = {}, ""
        if topology.items_topic in topics:
            shards = _find_breaks(clients, topology, consumer, status)
        if topology.terms_topic in topics:
            terms = _find_terms_break(clients, topology, consumer, status)
        return Breaks(shards, terms)


def _read_unread(clients: KafkaClients, served: Topology) -> list[UnreadPartitions]:
    with clients.borrowed_consumer() as consumer:
        return read_unread(served, consumer)


def _read_dead_letters(topology: Topology, clients: KafkaClients) -> DeadLetterCounts:
    index = DeadLetterIndex(topology, clients)
    index.read_on()
    return count_dead_letters(index)


def _status(
    topology: Topology,
    generations: GenerationsShown | None,
    status: Status | None,
    lags: Mapping[TopicPartition, Lag],
    breaks: Breaks,
    unread: Iterable[UnreadPartitions],
    dead_letters: DeadLetterCounts | None,
    unasked: list[str],
) -> IndexStatus:
    if generations is None or status is None:
        return IndexStatus(
            topology.generation, [], [], None, None, None, None, None, dead_letters, [], None,
            None, [], unasked,
        )  # fmt: skip
    now, limit = now_ms(), topology.limits.lag_seconds
    items = topology.items_topic
    shards = [
        _shard(
            shard,
            lags.get(TopicPartition(items, shard.shard)),
            now,
            limit,
            breaks.shards.get(shard.shard, shard.stopped),
        )
        for shard in status.shards
    ]
    known = [lag for place, lag in lags.items() if place.topic == items]
    terms = lags.get(TopicPartition(topology.terms_topic, 0))
    return IndexStatus(
        generation=status.version.generation,
        prepared=[
            one.generation
            for one in generations.generations
            if one.generation != status.version.generation
        ],
        problems=[
            *_problems(limit, shards, status, breaks.terms),
            *map(str, unread),
            *_unserved(generations),
        ],
        lag_events=sum(lag.events for lag in known) if known else None,
        lag_seconds=max(lag.seconds(lag.position, now) for lag in known) if known else None,
        balanced=all(shard.balanced for shard in shards),
        items=status.items,
        counts=_total(shard.counts for shard in shards),
        dead_letters=dead_letters,
        shards=shards,
        terms_lag_events=None if terms is None else terms.events,
        bindings=status.bindings,
        replicas=status.replicas,
        unasked=unasked,
    )


def _served(topology: Topology, status: Status) -> Topology:
    """The topology of the generation that the replica answers from, as far as its topics go."""
    return topology.edited({"generation": status.version.generation, "shards": len(status.shards)})


def _find_breaks(
    clients: KafkaClients, topology: Topology, consumer: KafkaConsumer, status: Status
) -> dict[int, str]:
    """Why each shard cannot read on where it stands, also where no worker has said so; or ""."""
    if not status.freshness.ready:
        # The workers may be beyond what this replica shows.
        return {s.shard: s.stopped for s in status.shards}
    at = {s.shard: SourcePosition(s.source_next_offset, s.topic) for s in status.shards}
    source = SourceTopic(clients, topology.items_topic)
    found = source.bounds(consumer, {shard: one.next_offset for shard, one in at.items()})
    return {s.shard: s.stopped or find_break(at[s.shard], found[s.shard]) for s in status.shards}


def _find_terms_break(
    clients: KafkaClients, topology: Topology, consumer: KafkaConsumer, status: Status
) -> str:
    """Why the registrar cannot read on where it stands; empty if it can."""
    shown = status.bindings
    source = SourceTopic(clients, topology.terms_topic)
    found = source.bounds(consumer, {0: shown.source_next_offset})[0]
    at = SourcePosition(shown.source_next_offset, shown.topic, REGISTRAR)
    return find_break(at, found) if status.freshness.ready else ""


def _shard(
    shown: ShardShown, lag: Lag | None, now: int, lag_limit: float, stopped: str
) -> ShardLag:
    counts = shown.counts
    late_by = None if lag is None else lag.seconds(lag.position, now)
    return ShardLag(
        shard=shown.shard,
        lag_events=None if lag is None else lag.events,
        lag_seconds=late_by,
        version=shown.version,
        epoch=shown.epoch,
        next_offset=shown.source_next_offset,
        bindings_version=shown.bindings_version,
        live=shown.live,
        counts=counts,
        balanced=counts.balanced,
        paused=shown.paused,
        late=late_by is not None and late_by > lag_limit,
        stopped=stopped,
    )


def _problems(
    lag_limit: float, shards: Iterable[ShardLag], status: Status, terms_break: str
) -> Iterator[str]:
    for shard in shards:
        if shard.stopped:
            yield f"shard {shard.shard}: {shard.stopped}. {stopped_remedy(shard.shard)}"
        if shard.late and not shard.paused and not shard.stopped:
            yield (
                f"shard {shard.shard}: {shard.lag_events or 0:,} events behind, the oldest by "
                f"{shard.lag_seconds or 0:,.0f} s; limits.lag_seconds is {lag_limit:g}"
            )
        if not shard.balanced:
            yield (
                f"shard {shard.shard}: read is not put + dropped + stale + dead + lost: "
                f"{shard.counts}"
            )
    if terms_break:
        yield f"the terms: {terms_break}. {LOG_ENDED_REMEDY}"
    if not status.freshness.ready:
        yield f"replica {status.replica}: not fresh: {'; '.join(status.freshness.reasons)}"


def _unserved(shown: GenerationsShown) -> Iterator[str]:
    if shown.serving != shown.wanted:
        yield (
            f"replica {shown.replica}: answers from generation {shown.serving} until it covers the "
            f"cut-over to {shown.wanted} (kae generation list)"
        )
    for generation, problem in sorted(shown.problems.items()):
        yield f"replica {shown.replica}: generation {generation} is not followed: {problem}"


def _total(counts: Iterable[CountsShown]) -> CountsShown:
    columns = zip(*(msgspec.structs.astuple(one) for one in counts), strict=True)
    return CountsShown(*(sum(column) for column in columns))
