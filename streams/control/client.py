"""How a command uses the control topic: read its state, send requests, wait for the answers."""

import getpass
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import TypeVar

import msgspec
from kafka import TopicPartition

from kae.streams.clock import now_ms
from kae.streams.control.follower import ControlFold
from kae.streams.control.records import (
    ControlRecord,
    Request,
    RequestAnswer,
    decode_control_record,
    encode_control_record,
)
from kae.streams.control.state import ControlState, GenerationState
from kae.streams.errors import ShardUnknown
from kae.streams.kafka.connection import reached_brokers
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.reader import read_to_end
from kae.streams.kafka.topics import check_topics
from kae.streams.topology.types import Topology

R = TypeVar("R", bound=Request)


class RequestPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a request would do to one shard; `refused` says why it cannot be made."""

    shard: int
    owner: str
    refused: str = ""


class RequestOutcome(StrEnum):
    """What became of a request."""

    DONE = "done"
    REFUSED = "refused"
    OPEN = "open"  # no answer yet


class RequestAnswerShown(msgspec.Struct, frozen=True):
    """What became of a request; `request` is its offset on the control topic."""

    shard: int
    request: int
    outcome: RequestOutcome
    cause: str
    worker: str | None
    version: int | None


@contextmanager
def open_control_client(
    topology: Topology, shards: Sequence[int] = ()
) -> Iterator["ControlClient"]:
    """A client that has read the topic, for requests to these shards.

    Raises: ShardUnknown; KafkaUnreachable; TopicDiffers.
    """
    named = named_shards(topology, shards)
    check_topics(topology)
    with KafkaClients.for_writing(topology, "shard") as clients, reached_brokers(topology):
        yield ControlClient(topology, clients, named)


class ControlClient:
    """The control topic as one command sees it; `state` is its fold when the command began."""

    def __init__(self, topology: Topology, clients: KafkaClients, shards: Sequence[int]) -> None:
        """Raises: KafkaUnreachable."""
        self.topology = topology
        self.shards = shards
        self.clients = clients
        self.state = read_shards(topology, clients)
        self._log = clients.log(topology.control_topic, 0)

    def owner(self, shard: int) -> str:
        """A shard's last owner and its epoch, as text."""
        known = self.state.owners.get(shard)
        return f"{known.owner} (epoch {known.epoch})" if known else "nobody yet"

    def plan_requests(self) -> list[RequestPlan]:
        """The plans of requests that every owner can carry out."""
        return [RequestPlan(shard=shard, owner=self.owner(shard)) for shard in self.shards]

    def request(self, kind: Callable[..., R], shard: int, reason: str, **more: int | bool) -> R:
        """A request in the name of the user who runs this command."""
        return kind(self.topology.generation, shard, user_at_host(), reason, now_ms(), **more)

    def send(self, requests: Sequence[Request]) -> Sequence[int]:
        """Append requests; returns their offsets.

        Raises: AppendUnknown.
        """
        return self._log.append([encode_control_record(one) for one in requests]).offsets()

    def answers(
        self, requests: Sequence[Request], within_seconds: float
    ) -> list[RequestAnswerShown]:
        """Send requests and wait for their answers; those that do not come in time are open.

        Raises: AppendUnknown.
        """
        offsets = self.send(requests)
        answers: dict[int, RequestAnswer] = {}
        for record in self.read_on(offsets[0], within_seconds):
            if isinstance(record, RequestAnswer) and record.request in offsets:
                answers.setdefault(record.request, record)
            if len(answers) == len(offsets):
                break
        return [
            show_answer(request.shard, offset, answers.get(offset))
            for request, offset in zip(requests, offsets, strict=True)
        ]

    def read_on(self, offset: int, within_seconds: float) -> Iterator[ControlRecord]:
        """The records from an offset on, as they come, for so many seconds."""
        deadline = time.monotonic() + within_seconds
        for at, payload in self._log.read(offset):
            if at >= 0:
                # Workers skip and log what does not decode.
                with suppress(msgspec.DecodeError):
                    yield decode_control_record(payload)
            if time.monotonic() > deadline:
                return


def show_answer(shard: int, request: int, answer: RequestAnswer | None) -> RequestAnswerShown:
    if answer is None:
        return RequestAnswerShown(shard, request, RequestOutcome.OPEN, "", None, None)
    outcome = RequestOutcome.REFUSED if answer.refused else RequestOutcome.DONE
    return RequestAnswerShown(
        shard, request, outcome, answer.refused, answer.worker, answer.version
    )


def named_shards(topology: Topology, shards: Sequence[int]) -> list[int]:
    """The named shards in ascending order, each once.

    Raises: ShardUnknown.
    """
    for shard in shards:
        if not 0 <= shard < topology.shards:
            raise ShardUnknown(
                f"shard {shard}: {topology.path} has shards 0 to {topology.shards - 1}; "
                "`kae shard list` shows them"
            )
    return sorted(set(shards))


def user_at_host() -> str:
    """Who runs this command, for the records that it sends."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def read_shards(topology: Topology, clients: KafkaClients) -> ControlState:
    """What the control topic says about the shards now.

    Raises: KafkaUnreachable; KafkaTimeoutError, KafkaConnectionError when no broker answers.
    """
    state = ControlState(topology.generation)
    _read(topology, clients, state)
    return state


def read_generations(topology: Topology, clients: KafkaClients) -> GenerationState:
    """What the control topic says about generations now; nothing if there is no such topic.

    Raises: KafkaUnreachable; KafkaTimeoutError, KafkaConnectionError when no broker answers.
    """
    state = GenerationState(topology.generation)
    with clients.borrowed_consumer() as consumer:
        exists = topology.control_topic in consumer.topics()
    if exists:  # `check_topics` reports a missing topic
        _read(topology, clients, state)
    return state


def _read(topology: Topology, clients: KafkaClients, state: ControlFold) -> None:
    """Fold the whole control topic, up to its present end."""
    for record in read_to_end(clients, {TopicPartition(topology.control_topic, 0): None}):
        # Workers skip and log what does not decode.
        with suppress(msgspec.DecodeError):
            state.apply(record.offset, decode_control_record(record.value))
