"""What a reset or refold of a shard would do, found out before the request is sent."""

import time
from collections.abc import Callable, Sequence
from itertools import chain

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from kae.streams import clock
from kae.streams.control.client import ControlClient, RequestAnswerShown, RequestPlan
from kae.streams.kafka.lag import read_lags
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.reader import read_to_end
from kae.streams.kafka.source import SourceBounds, SourcePosition, count_lost, read_bounds
from kae.streams.kafka.topics import admin_client
from kae.streams.replica_api.status import ShardShown
from kae.streams.shards.requests import RetainedOffsets, refold_refusal, reset_refusal
from kae.streams.topology.types import Topology


class ShardReport(msgspec.Struct, frozen=True):
    """What `kae shard pause`, `resume`, `reset` and `refold` print with --json.

    A dry run has no answers.
    """

    command: str
    dry_run: bool
    planned: list[RequestPlan]
    answers: list[RequestAnswerShown]


# Reset.


class ResetPlan(RequestPlan, frozen=True, kw_only=True):
    """`to_at` is the time of the first event that would be read again.

    `lost` events are gone before the shard has read them.
    """

    version: int
    from_offset: int
    to_offset: int
    events_again: int
    to_at: str | None
    to_age_seconds: float | None
    lost: int = 0


# Finds the offset that a partition would be read again from.
ResetTarget = Callable[[KafkaConsumer, TopicPartition], int]


def to_offset(offset: int) -> ResetTarget:
    return lambda _consumer, _place: offset


def to_earliest(consumer: KafkaConsumer, place: TopicPartition) -> int:
    offset: int = consumer.beginning_offsets([place])[place]
    return offset


def to_time(at_ms: int) -> ResetTarget:
    """The first event that is not older; the partition's end, if all are."""

    def find(consumer: KafkaConsumer, place: TopicPartition) -> int:
        found = consumer.offsets_for_times({place: max(0, at_ms)})[place]
        offset: int = consumer.end_offsets([place])[place] if found is None else found.offset
        return offset

    return find


def plan_reset(
    client: ControlClient,
    shown: Sequence[ShardShown],
    target: ResetTarget,
    *,
    accept_loss: bool = False,
) -> list[ResetPlan]:
    """Raises: KafkaUnreachable."""
    positions = {shard: shown[shard].source_next_offset for shard in client.shards}
    found = read_bounds(client.clients, client.topology.items_topic, positions)
    with client.clients.borrowed_consumer() as consumer:
        return [
            _plan_reset(client, consumer, shown[shard], found[shard], target, accept_loss)
            for shard in client.shards
        ]


def _plan_reset(
    client: ControlClient,
    consumer: KafkaConsumer,
    shown: ShardShown,
    found: SourceBounds,
    target: ResetTarget,
    accept_loss: bool,
) -> ResetPlan:
    place = TopicPartition(client.topology.items_topic, shown.shard)
    goal, now = target(consumer, place), shown.source_next_offset
    if now < goal <= found.ends_at and read_lags(consumer, {place: now})[place].end == now:
        goal = now  # between them are only the markers of transactions
    at = SourcePosition(now, shown.topic)
    refused = reset_refusal(shown.shard, goal, at, found, accept_loss=accept_loss)
    is_timed = not refused and goal != now and goal < found.ends_at
    at_ms = _time_of(client.clients, place, goal) if is_timed else None
    return ResetPlan(
        shard=shown.shard,
        owner=client.owner(shown.shard),
        refused=refused,
        version=shown.version,
        from_offset=now,
        to_offset=goal,
        events_again=max(0, min(now, found.ends_at) - goal),
        lost=count_lost(at, found, goal),
        to_at=None if at_ms is None else clock.rfc3339(at_ms),
        to_age_seconds=None if at_ms is None else max(0.0, time.time() - at_ms / 1000),
    )


def _time_of(clients: KafkaClients, place: TopicPartition, offset: int) -> int | None:
    """The time of the first record at or after an offset; None if only aborted ones follow."""
    return next((one.timestamp for one in read_to_end(clients, {place: offset})), None)


# Refold.


class RefoldPlan(RequestPlan, frozen=True, kw_only=True):
    """`log_bytes` is the log's size on one broker's disk; null if no broker says."""

    version: int
    log_records: int
    log_bytes: int | None


def plan_refold(client: ControlClient, shown: Sequence[ShardShown]) -> list[RefoldPlan]:
    """Raises: KafkaUnreachable."""
    topic = client.topology.deltas_topic
    named = [shown[shard] for shard in client.shards]
    places = [TopicPartition(topic, shard) for shard in client.shards]
    with client.clients.borrowed_consumer() as consumer:
        begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
    sizes = _log_bytes(client.topology)
    return [
        RefoldPlan(
            shard=one.shard,
            owner=client.owner(one.shard),
            refused=refold_refusal(one.shard, _retained(place, begins[place])),
            version=one.version,
            log_records=ends[place] - begins[place],
            log_bytes=sizes.get(one.shard),
        )
        for one, place in zip(named, places, strict=True)
    ]


def _log_bytes(topology: Topology) -> dict[int, int]:
    """The bytes of each shard's log on a broker's disk; nothing if no broker says."""
    with admin_client(topology) as admin:
        try:
            brokers = admin.describe_log_dirs([topology.deltas_topic])
        except KafkaError:
            return {}
    sizes: dict[int, int] = {}
    for folder in chain.from_iterable(broker["log_dirs"] for broker in brokers):
        for partition in chain.from_iterable(topic["partitions"] for topic in folder["topics"]):
            shard, size = partition["partition_index"], partition["partition_size"]
            sizes[shard] = max(size, sizes.get(shard, 0))
    return sizes


def _retained(place: TopicPartition, begins_at: int) -> RetainedOffsets:
    return RetainedOffsets(f"{place.topic}/{place.partition}", begins_at)
