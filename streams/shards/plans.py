"""What `kae shard` prints, as types.

What a request would do, found out before it is made.

Where the shards stand: the replica's word, the control topic's, and the ends of the items.
"""

import time
from collections.abc import Callable, Sequence
from itertools import chain

import msgspec
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from kae.streams import clock
from kae.streams.control.client import ControlClient, RequestPlan, ShardAnswered, show_answer
from kae.streams.control.records import Pause
from kae.streams.control.state import RequestState
from kae.streams.dead_letters.index import patient_polls
from kae.streams.kafka.connection import bootstrap_ms, connection
from kae.streams.replica_api.status import ShardShown
from kae.streams.shards.requests import RetainedOffsets, why_no_refold, why_no_reset
from kae.streams.topology.types import Topology


class PauseShown(msgspec.Struct, frozen=True):
    """A pause in force."""

    by: str
    since: str
    reason: str


class CommandShown(msgspec.Struct, frozen=True):
    """A request, and what became of it."""

    command: str
    by: str
    at: str
    reason: str
    answer: ShardAnswered


class ShardStanding(msgspec.Struct, frozen=True):
    """One shard as `list` shows it; `owner` is who said last that it holds the shard."""

    shard: int
    owner: str | None
    epoch: int
    version: int
    next_offset: int
    lag_events: int
    paused: bool
    pause: PauseShown | None
    last: CommandShown | None


class ShardsListed(msgspec.Struct, frozen=True):
    """What `list --json` prints."""

    generation: int
    shards: list[ShardStanding]


class ResetPlanned(RequestPlan, frozen=True, kw_only=True):
    """`to_at` is the time of the first event that would be read again."""

    version: int
    from_offset: int
    to_offset: int
    events_again: int
    to_at: str | None
    to_age_seconds: float | None


class RefoldPlanned(RequestPlan, frozen=True, kw_only=True):
    """`log_bytes` are those on one broker's disk, if it tells."""

    version: int
    log_records: int
    log_bytes: int | None


class ShardReport(msgspec.Struct, frozen=True):
    """What the other commands print with --json; a dry run has no answers."""

    command: str
    dry_run: bool
    planned: list[RequestPlan]
    answers: list[ShardAnswered]


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
    desk: ControlClient, shown: Sequence[ShardShown], target: Target
) -> list[ResetPlanned]:
    """Raises: KafkaUnreachable."""
    with desk.clients.borrowed_consumer() as consumer:
        return [_plan_reset(desk, consumer, shown[shard], target) for shard in desk.shards]


def _plan_reset(
    desk: ControlClient, consumer: KafkaConsumer, shown: ShardShown, target: Target
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
        to_at=None if at_ms is None else clock.rfc3339(at_ms),
        to_age_seconds=None if at_ms is None else max(0.0, time.time() - at_ms / 1000),
    )


def _time_of(consumer: KafkaConsumer, place: TopicPartition, offset: int) -> int:
    """The time of the first record at or after an offset that lies before the end."""
    consumer.assign([place])
    consumer.seek(place, offset)
    records = next(filter(None, patient_polls(consumer, f"{place.topic}/{place.partition}")))
    at_ms: int = records[0].timestamp
    return at_ms


def _kept(place: TopicPartition, begins_at: int) -> RetainedOffsets:
    return RetainedOffsets(f"{place.topic}/{place.partition}", begins_at)


def plan_refold(desk: ControlClient, shown: Sequence[ShardShown]) -> list[RefoldPlanned]:
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


def list_standing(desk: ControlClient, shown: list[ShardShown]) -> ShardsListed:
    """Raises: KafkaUnreachable."""
    topic = desk.topology.items_topic
    places = {one.shard: TopicPartition(topic, one.shard) for one in shown}
    with desk.clients.borrowed_consumer() as consumer:
        ends = consumer.end_offsets(list(places.values()))
    shards = [_standing(desk, one, ends[places[one.shard]]) for one in shown]
    return ShardsListed(desk.topology.generation, shards)


def _standing(desk: ControlClient, shown: ShardShown, end: int) -> ShardStanding:
    book, shard = desk.book, shown.shard
    owner, last = book.owners.get(shard), book.last.get(shard)
    return ShardStanding(
        shard=shard,
        owner=owner.owner if owner else None,
        # A claim counts at once; a replica's store tells of it with the next delta.
        epoch=max(shown.epoch, owner.epoch if owner else 0),
        version=shown.version,
        next_offset=shown.source_next_offset,
        lag_events=max(0, end - shown.source_next_offset),
        paused=shown.paused,
        pause=_pause(desk, shard) if shown.paused else None,
        last=_command(last) if last else None,
    )


def _pause(desk: ControlClient, shard: int) -> PauseShown | None:
    pause = desk.book.pauses.get(shard)
    # A worker that was killed before its answer has paused all the same.
    for filed in desk.book.open_of({shard}):
        if isinstance(filed.request, Pause):
            pause = filed.request
    return PauseShown(pause.by, clock.rfc3339(pause.at_ms), pause.reason) if pause else None


def _command(filed: RequestState) -> CommandShown:
    request = filed.request
    return CommandShown(
        command=type(request).__name__.lower(),
        by=request.by,
        at=clock.rfc3339(request.at_ms),
        reason=request.reason,
        answer=show_answer(request.shard, filed.offset, filed.answer),
    )
