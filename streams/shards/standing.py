"""Where the shards stand: the replica's word, the control topic's, and the ends of the items."""

from kafka import TopicPartition

from kae.streams import moments
from kae.streams.control import Filed, Pause
from kae.streams.replica.answers import ShardShown
from kae.streams.shards.answers import (
    CommandShown,
    PauseShown,
    ShardsListed,
    ShardStanding,
)
from kae.streams.shards.desk import RequestsDesk, show_answer


def list_standing(desk: RequestsDesk, shown: list[ShardShown]) -> ShardsListed:
    """Raises: KafkaUnreachable."""
    topic = desk.topology.items_topic
    places = {one.shard: TopicPartition(topic, one.shard) for one in shown}
    with desk.clients.borrowed_consumer() as consumer:
        ends = consumer.end_offsets(list(places.values()))
    shards = [_standing(desk, one, ends[places[one.shard]]) for one in shown]
    return ShardsListed(desk.topology.generation, shards)


def _standing(desk: RequestsDesk, shown: ShardShown, end: int) -> ShardStanding:
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


def _pause(desk: RequestsDesk, shard: int) -> PauseShown | None:
    pause = desk.book.pauses.get(shard)
    # A worker that was killed before its answer has paused all the same.
    for filed in desk.book.open_of({shard}):
        if isinstance(filed.request, Pause):
            pause = filed.request
    return PauseShown(pause.by, moments.shown(pause.at_ms), pause.reason) if pause else None


def _command(filed: Filed) -> CommandShown:
    request = filed.request
    return CommandShown(
        command=type(request).__name__.lower(),
        by=request.by,
        at=moments.shown(request.at_ms),
        reason=request.reason,
        answer=show_answer(request.shard, filed.offset, filed.answer),
    )
