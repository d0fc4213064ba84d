"""What `kae shard list` prints, from a replica, the control topic and the items topic."""

import msgspec
from kafka import TopicPartition

from kae.streams import clock
from kae.streams.control.client import RequestAnswerShown, read_shards, show_answer
from kae.streams.control.records import Pause
from kae.streams.control.state import ControlState, RequestState
from kae.streams.kafka.lag import Lag, read_lags
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.topics import find_topics
from kae.streams.replica_api.client import ReplicaClient
from kae.streams.replica_api.status import ShardShown
from kae.streams.shards.asking import ask
from kae.streams.topology.types import Topology


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
    """One shard; `owner` is the worker that claimed it last. What could not be asked is null."""

    shard: int
    owner: str | None
    epoch: int | None
    version: int | None
    next_offset: int | None
    lag_events: int | None
    paused: bool | None
    pause: PauseShown | None
    last: CommandShown | None
    stopped: str = ""  # why it reads no items, and only a reset ends it


class ShardsListed(msgspec.Struct, frozen=True):
    """What `list --json` prints; `unasked` says who could not be asked, and why."""

    generation: int
    shards: list[ShardListed]
    unasked: list[str]


def list_shards(topology: Topology, replica: ReplicaClient) -> ShardsListed:
    """Ask a replica for the shards' positions, and the brokers for their owners and lags."""
    unasked: list[str] = []
    status = ask(unasked, lambda: replica.status(generation=topology.generation))
    topics, missing = ask(unasked, lambda: find_topics(topology)) or (set(), [])
    unasked += missing
    state = None
    lags: dict[TopicPartition, Lag] = {}
    positions = {}
    if status is not None and topology.items_topic in topics:
        positions = {
            TopicPartition(topology.items_topic, one.shard): one.source_next_offset
            for one in status.shards
        }
    if topics:
        with KafkaClients.for_reading(topology, "shards") as clients:
            if topology.control_topic in topics:
                state = ask(unasked, lambda: read_shards(topology, clients))
            lags = ask(unasked, lambda: _read_lags(clients, positions)) or {}
    shown = {one.shard: one for one in status.shards} if status else {}
    state = state or ControlState(topology.generation)
    shards = [
        _shard(
            state, shard, shown.get(shard), lags.get(TopicPartition(topology.items_topic, shard))
        )
        for shard in range(topology.shards)
    ]
    return ShardsListed(topology.generation, shards, unasked)


def _read_lags(
    clients: KafkaClients, positions: dict[TopicPartition, int]
) -> dict[TopicPartition, Lag]:
    with clients.borrowed_consumer() as consumer:
        return read_lags(consumer, positions)


def _shard(
    state: ControlState, shard: int, shown: ShardShown | None, lag: Lag | None
) -> ShardListed:
    owner, newest = state.owners.get(shard), state.newest.get(shard)
    # A claim is in force at once; a replica learns its epoch with the next delta.
    epochs = [one.epoch for one in (shown, owner) if one is not None]
    return ShardListed(
        shard=shard,
        owner=owner.owner if owner else None,
        epoch=max(epochs, default=None),
        version=shown.version if shown else None,
        next_offset=shown.source_next_offset if shown else None,
        lag_events=lag.events if lag else None,
        paused=shown.paused if shown else None,
        pause=_pause(state, shard) if shown and shown.paused else None,
        last=_command(newest) if newest else None,
        stopped=shown.stopped if shown else "",
    )


def _pause(state: ControlState, shard: int) -> PauseShown | None:
    pause = state.pauses.get(shard)
    # A worker that was killed before it answered has paused the shard all the same.
    for unanswered in state.open_for({shard}):
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
