"""The state of a whole line: lag, versions, and the accounting, from Kafka and a replica."""

from collections.abc import Iterable, Mapping

import msgspec
from kafka import KafkaConsumer, TopicPartition

from kae.streams.kafka_log import KafkaClients
from kae.streams.letters.answers import LettersCounted, count
from kae.streams.letters.letterbox import Letterbox
from kae.streams.replica.answers import BindingsLogShown, CountsShown, ReplicaShown, ShardShown
from kae.streams.replica.client import ReplicaClient
from kae.streams.replica.follower import now_ms
from kae.streams.topics import check_topics
from kae.streams.topology import Topology

LOOK_MS = 1000


class ShardLag(msgspec.Struct, frozen=True):
    """One shard; `lag_seconds` is the age of the first event that is not indexed yet."""

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


class LineStatus(msgspec.Struct, frozen=True):
    """What `kae status --json` prints."""

    generation: int
    lag_events: int
    lag_seconds: float
    balanced: bool
    items: int
    counts: CountsShown
    dead_letters: LettersCounted
    shards: list[ShardLag]
    terms_lag_events: int
    bindings: BindingsLogShown
    replicas: list[ReplicaShown]


def read_status(topology: Topology, replica: ReplicaClient) -> LineStatus:
    """Ask the replica where the shards stand, and the brokers where the topics end.

    Raises: KafkaUnreachable, ReplicaUnreachable, TopicDiffers.
    """
    check_topics(topology)
    status = replica.status()
    kafka = topology.kafka
    clients = KafkaClients(
        kafka.bootstrap,
        f"{kafka.client_id}-status",
        timeout_seconds=kafka.request_timeout_seconds,
        max_bytes=topology.limits.delta_bytes,
    )
    consumer = clients.consumer()
    items = {
        shard.shard: TopicPartition(topology.items_topic, shard.shard) for shard in status.shards
    }
    terms = TopicPartition(topology.terms_topic, 0)
    try:
        ends = consumer.end_offsets([*items.values(), terms])
        positions = {items[s.shard]: s.source_next_offset for s in status.shards}
        waiting = _first_waiting(consumer, positions, ends)
        box = Letterbox(topology, clients)
        box.read_on()
    finally:
        consumer.close(autocommit=False)
        clients.close()
    now = now_ms()
    shards = [
        _shard(shard, ends[items[shard.shard]], waiting.get(items[shard.shard]), now)
        for shard in status.shards
    ]
    return LineStatus(
        generation=status.version.generation,
        lag_events=sum(shard.lag_events for shard in shards),
        lag_seconds=max(shard.lag_seconds for shard in shards),
        balanced=all(shard.balanced for shard in shards),
        items=status.items,
        counts=_total(shard.counts for shard in shards),
        dead_letters=count(box),
        shards=shards,
        terms_lag_events=max(0, ends[terms] - status.bindings.source_next_offset),
        bindings=status.bindings,
        replicas=status.replicas,
    )


def _shard(shown: ShardShown, end: int, waiting_ms: int | None, now: int) -> ShardLag:
    counts = shown.counts
    return ShardLag(
        shard=shown.shard,
        lag_events=max(0, end - shown.source_next_offset),
        lag_seconds=0.0 if waiting_ms is None else max(0.0, (now - waiting_ms) / 1000),
        version=shown.version,
        epoch=shown.epoch,
        next_offset=shown.source_next_offset,
        bindings_version=shown.bindings_version,
        live=shown.live,
        counts=counts,
        balanced=counts.read == counts.put + counts.dropped + counts.stale + counts.dead,
        paused=shown.paused,
    )


def _first_waiting(
    consumer: KafkaConsumer,
    positions: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> dict[TopicPartition, int]:
    """The time, in ms, of the first event of each partition that is not indexed yet."""
    behind = {tp: offset for tp, offset in positions.items() if ends[tp] > offset}
    found: dict[TopicPartition, int] = {}
    for tp, offset in behind.items():
        consumer.assign([tp])
        consumer.seek(tp, offset)
        records = consumer.poll(timeout_ms=LOOK_MS, max_records=1).get(tp, [])
        if records:
            found[tp] = records[0].timestamp
    return found


def _total(counts: Iterable[CountsShown]) -> CountsShown:
    columns = zip(*(msgspec.structs.astuple(one) for one in counts), strict=True)
    return CountsShown(*(sum(column) for column in columns))
