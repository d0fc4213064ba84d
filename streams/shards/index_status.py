"""What `kae status` prints: lag, versions and event counts, from Kafka and a replica."""

from collections.abc import Iterable, Iterator
from contextlib import closing

import msgspec
from kafka import TopicPartition

from kae.streams.clock import now_ms
from kae.streams.dead_letters.answers import DeadLetterCounts, count_dead_letters
from kae.streams.dead_letters.index import DeadLetterIndex
from kae.streams.kafka.lag import FETCH_BYTES, Lag, read_lags
from kae.streams.kafka.log import KafkaClients
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
from kae.streams.topology.types import Topology


class ShardLag(msgspec.Struct, frozen=True):
    """One shard; `lag_seconds` is the age of the first event that is not indexed yet.

    A paused shard may be late: that is no problem.
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
        with closing(clients.consumer(FETCH_BYTES)) as consumer:
            lags = read_lags(consumer, positions)
            terms_end = consumer.end_offsets([terms])[terms]
            unread = read_unread(_served(topology, status), consumer)
        index = DeadLetterIndex(topology, clients)
        index.read_on()
    now, limit = now_ms(), topology.limits.lag_seconds
    shards = [_shard(shard, lags[items[shard.shard]], now, limit) for shard in status.shards]
    return IndexStatus(
        generation=status.version.generation,
        prepared=[
            one.generation
            for one in generations.generations
            if one.generation != status.version.generation
        ],
        problems=[
            *_problems(limit, shards, status),
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


def _shard(shown: ShardShown, lag: Lag, now: int, lag_limit: float) -> ShardLag:
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
        balanced=counts.read == counts.put + counts.dropped + counts.stale + counts.dead,
        paused=shown.paused,
        late=late_by > lag_limit,
    )


def _problems(lag_limit: float, shards: Iterable[ShardLag], status: Status) -> Iterator[str]:
    for shard in shards:
        if shard.late and not shard.paused:
            yield (
                f"shard {shard.shard}: {shard.lag_events:,} events behind, the oldest by "
                f"{shard.lag_seconds:,.0f} s; limits.lag_seconds is {lag_limit:g}"
            )
        if not shard.balanced:
            yield f"shard {shard.shard}: read is not put + dropped + stale + dead: {shard.counts}"
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
