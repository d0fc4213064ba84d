"""What `kae shard list` prints, from a replica, the control topic and the items topic."""

import msgspec
from kafka import TopicPartition

from kae.streams import clock
from kae.streams.control.client import ControlClient, RequestAnswerShown, show_answer
from kae.streams.control.records import Pause
from kae.streams.control.state import RequestState
from kae.streams.replica_api.status import ShardShown


class PauseShown(msgspec.Struct, frozen=True):
    """A pause in force."""

    by: str
    since: str
    reason: str


class CommandShown(msgspec.Struct, frozen=True):
    """A request, and its answer."""

    command: str
    by: str
    at: str
    reason: str
    answer: RequestAnswerShown


class ShardListed(msgspec.Struct, frozen=True):
    """One shard; `owner` is the worker that claimed it last."""

    shard: int
    owner: str | None
    epoch: int
    version: int
    next_offset: int
    lag_events: int
    paused: bool
    pause: PauseShown | None
    last: CommandShown | None
    stopped: str = ""  # why it reads no items, and only a reset ends it


class ShardsListed(msgspec.Struct, frozen=True):
    """What `list --json` prints."""

    generation: int
    shards: list[ShardListed]


def list_shards(client: ControlClient, shown: list[ShardShown]) -> ShardsListed:
    """Raises: KafkaUnreachable."""
    topic = client.topology.items_topic
    places = {one.shard: TopicPartition(topic, one.shard) for one in shown}
    with client.clients.borrowed_consumer() as consumer:
        ends = consumer.end_offsets(list(places.values()))
    shards = [_shard(client, one, ends[places[one.shard]]) for one in shown]
    return ShardsListed(client.topology.generation, shards)


def _shard(client: ControlClient, shown: ShardShown, end: int) -> ShardListed:
    state, shard = client.state, shown.shard
    owner, newest = state.owners.get(shard), state.newest.get(shard)
    return ShardListed(
        shard=shard,
        owner=owner.owner if owner else None,
        # A claim is in force at once; a replica learns its epoch with the next delta.
        epoch=max(shown.epoch, owner.epoch if owner else 0),
        version=shown.version,
        next_offset=shown.source_next_offset,
        lag_events=max(0, end - shown.source_next_offset),
        paused=shown.paused,
        pause=_pause(client, shard) if shown.paused else None,
        last=_command(newest) if newest else None,
        stopped=shown.stopped,
    )


def _pause(client: ControlClient, shard: int) -> PauseShown | None:
    pause = client.state.pauses.get(shard)
    # A worker that was killed before it answered has paused the shard all the same.
    for unanswered in client.state.open_for({shard}):
        if isinstance(unanswered.request, Pause):
            pause = unanswered.request
    return PauseShown(pause.by, clock.rfc3339(pause.at_ms), pause.reason) if pause else None


def _command(state: RequestState) -> CommandShown:
    request = state.request
    return CommandShown(
        command=type(request).__name__.lower(),
        by=request.by,
        at=clock.rfc3339(request.at_ms),
        reason=request.reason,
        answer=show_answer(request.shard, state.offset, state.answer),
    )
