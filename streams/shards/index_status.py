"""What `kae status` prints: lag, versions and event counts, from Kafka and a replica."""

from collections.abc import Iterable, Iterator
from contextlib import closing

import msgspec
from kafka import KafkaConsumer, TopicPartition

from kae.sinks.log.protocol import LOG_ENDED_REMEDY
from kae.streams.clock import now_ms
from kae.streams.dead_letters.answers import DeadLetterCounts, count_dead_letters
from kae.streams.dead_letters.index import DeadLetterIndex
from kae.streams.kafka.connection import reached_brokers
from kae.streams.kafka.lag import FETCH_BYTES, Lag, read_lags
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.source import REGISTRAR, SourcePosition, SourceTopic, find_break
from kae.streams.kafka.topics import check_topics
from kae.streams.kafka.unread_partitions import read_unread
from kae.streams.replica_api.client import ReplicaClient
from kae.streams.replica_api.status import (
    BindingsLogShown,
    CountsShown,
    GenerationsShown,
    ReplicaShown,
    ShardShown,
    Status,
)
from kae.streams.shards.requests import stopped_remedy
from kae.streams.topology.types import Topology


class ShardLag(msgspec.Struct, frozen=True):
    """One shard; `lag_seconds` is the age of the first event that is not indexed yet.

    A paused shard may be late: that is no problem. `stopped` says why the shard cannot read on
    where it stands.
    """

    shard: int
    lag_events: int
    lag_seconds: float
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
    follows.
    """

    generation: int
    prepared: list[int]
    problems: list[str]
    lag_events: int
    lag_seconds: float
    balanced: bool
    items: int
    counts: CountsShown
    dead_letters: DeadLetterCounts
    shards: list[ShardLag]
    terms_lag_events: int
    bindings: BindingsLogShown
    replicas: list[ReplicaShown]


def read_status(topology: Topology, replica: ReplicaClient) -> IndexStatus:
    """Ask the replica for the shards' positions, and the brokers for the topics' ends.

    Raises: KafkaUnreachable, ReplicaUnreachable, TopicDiffers.
    """
    check_topics(topology)
    generations = replica.generations()
    status = replica.status(generation=generations.serving)
    items = {
        shard.shard: TopicPartition(topology.items_topic, shard.shard) for shard in status.shards
    }
    terms = TopicPartition(topology.terms_topic, 0)
    positions = {items[s.shard]: s.source_next_offset for s in status.shards}
    with KafkaClients.for_reading(topology, "status") as clients:
        with reached_brokers(topology), closing(clients.consumer(FETCH_BYTES)) as consumer:
            lags = read_lags(consumer, positions)
            terms_end = consumer.end_offsets([terms])[terms]
            unread = read_unread(_served(topology, status), consumer)
            breaks = _find_breaks(clients, topology, consumer, status)
            terms_break = _find_terms_break(clients, topology, consumer, status)
        index = DeadLetterIndex(topology, clients)
        index.read_on()
    now, limit = now_ms(), topology.limits.lag_seconds
    shards = [
        _shard(shard, lags[items[shard.shard]], now, limit, breaks[shard.shard])
        for shard in status.shards
    ]
    return IndexStatus(
        generation=status.version.generation,
        prepared=[
            one.generation
            for one in generations.generations
            if one.generation != status.version.generation
        ],
        problems=[
            *_problems(limit, shards, status, terms_break),
            *map(str, unread),
            *_unserved(generations),
        ],
        lag_events=sum(shard.lag_events for shard in shards),
        lag_seconds=max(shard.lag_seconds for shard in shards),
        balanced=all(shard.balanced for shard in shards),
        items=status.items,
        counts=_total(shard.counts for shard in shards),
        dead_letters=count_dead_letters(index),
        shards=shards,
        terms_lag_events=max(0, terms_end - status.bindings.source_next_offset),
        bindings=status.bindings,
        replicas=status.replicas,
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


def _shard(shown: ShardShown, lag: Lag, now: int, lag_limit: float, stopped: str) -> ShardLag:
    counts, late_by = shown.counts, lag.seconds(lag.position, now)
    return ShardLag(
        shard=shown.shard,
        lag_events=lag.end - lag.position,
        lag_seconds=late_by,
        version=shown.version,
        epoch=shown.epoch,
        next_offset=shown.source_next_offset,
        bindings_version=shown.bindings_version,
        live=shown.live,
        counts=counts,
        balanced=counts.balanced,
        paused=shown.paused,
        late=late_by > lag_limit,
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
                f"shard {shard.shard}: {shard.lag_events:,} events behind, the oldest by "
                f"{shard.lag_seconds:,.0f} s; limits.lag_seconds is {lag_limit:g}"
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
