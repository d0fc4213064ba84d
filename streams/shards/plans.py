"""What a request would do, found out before it is made."""

import time
from collections.abc import Callable, Sequence
from itertools import chain

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from kae.streams import moments
from kae.streams.bootstrap import bootstrap_ms
from kae.streams.kafka_connection import connection
from kae.streams.letters.letterbox import patient_polls
from kae.streams.replica.answers import ShardShown
from kae.streams.shards.answers import RefoldPlanned, ResetPlanned
from kae.streams.shards.desk import RequestsDesk
from kae.streams.shards.rules import Kept, why_no_refold, why_no_reset
from kae.streams.topology import Topology

# Where a partition would be read again from.
Target = Callable[[KafkaConsumer, TopicPartition], int]


def to_offset(offset: int) -> Target:
    return lambda _consumer, _place: offset


def to_earliest(consumer: KafkaConsumer, place: TopicPartition) -> int:
    offset: int = consumer.beginning_offsets([place])[place]
    return offset


def to_time(at_ms: int) -> Target:
    """The first event that is not older; the end, where all are."""

    def find(consumer: KafkaConsumer, place: TopicPartition) -> int:
        found = consumer.offsets_for_times({place: max(0, at_ms)})[place]
        offset: int = consumer.end_offsets([place])[place] if found is None else found.offset
        return offset

    return find


def plan_reset(
    desk: RequestsDesk, shown: Sequence[ShardShown], target: Target
) -> list[ResetPlanned]:
    """Raises: KafkaUnreachable."""
    with desk.clients.borrowed_consumer() as consumer:
        return [_plan_reset(desk, consumer, shown[shard], target) for shard in desk.shards]


def _plan_reset(
    desk: RequestsDesk, consumer: KafkaConsumer, shown: ShardShown, target: Target
) -> ResetPlanned:
    place = TopicPartition(desk.topology.items_topic, shown.shard)
    goal, now = target(consumer, place), shown.source_next_offset
    begins = consumer.beginning_offsets([place])[place]
    refused = why_no_reset(shown.shard, goal, now, _kept(place, begins))
    at_ms = None if refused or goal == now else _time_of(consumer, place, goal)
    return ResetPlanned(
        shard=shown.shard,
        owner=desk.owner(shown.shard),
        refused=refused,
        version=shown.version,
        from_offset=now,
        to_offset=goal,
        events_again=max(0, now - goal),
        to_at=None if at_ms is None else moments.shown(at_ms),
        to_age_seconds=None if at_ms is None else max(0.0, time.time() - at_ms / 1000),
    )


def _time_of(consumer: KafkaConsumer, place: TopicPartition, offset: int) -> int:
    """The time of the first record at or after an offset that lies before the end."""
    consumer.assign([place])
    consumer.seek(place, offset)
    records = next(filter(None, patient_polls(consumer, f"{place.topic}/{place.partition}")))
    at_ms: int = records[0].timestamp
    return at_ms


def _kept(place: TopicPartition, begins_at: int) -> Kept:
    return Kept(f"{place.topic}/{place.partition}", begins_at)


def plan_refold(desk: RequestsDesk, shown: Sequence[ShardShown]) -> list[RefoldPlanned]:
    """Raises: KafkaUnreachable."""
    topic = desk.topology.deltas_topic
    named = [shown[shard] for shard in desk.shards]
    places = [TopicPartition(topic, shard) for shard in desk.shards]
    with desk.clients.borrowed_consumer() as consumer:
        begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
    sizes = _log_bytes(desk.topology)
    return [
        RefoldPlanned(
            shard=one.shard,
            owner=desk.owner(one.shard),
            refused=why_no_refold(one.shard, _kept(place, begins[place])),
            version=one.version,
            log_records=ends[place] - begins[place],
            log_bytes=sizes.get(one.shard),
        )
        for one, place in zip(named, places, strict=True)
    ]


def _log_bytes(topology: Topology) -> dict[int, int]:
    """The bytes of each shard's log on a broker's disk; not every broker tells."""
    admin = KafkaAdminClient(
        **connection(topology),
        client_id=f"{topology.kafka.client_id}-shard",
        bootstrap_timeout_ms=bootstrap_ms(topology),
    )
    try:
        told = admin.describe_log_dirs([topology.deltas_topic])
    except KafkaError:
        return {}
    finally:
        admin.close()
    sizes: dict[int, int] = {}
    for folder in chain.from_iterable(broker["log_dirs"] for broker in told):
        for partition in chain.from_iterable(topic["partitions"] for topic in folder["topics"]):
            shard, size = partition["partition_index"], partition["partition_size"]
            sizes[shard] = max(size, sizes.get(shard, 0))
    return sizes
