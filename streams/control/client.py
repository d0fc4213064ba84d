"""Reading the book of generations, once, before anything is followed.

The desk of requests: where a command reads the control topic, asks, and waits for answers.
"""

import getpass
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, TypeVar

import msgspec
from kafka import TopicPartition

from kae.streams.clock import now_ms
from kae.streams.control import records
from kae.streams.control.records import Request, RequestAnswer
from kae.streams.control.state import ControlState, GenerationState
from kae.streams.dead_letters.index import patient_polls
from kae.streams.errors import ShardUnknown
from kae.streams.kafka.connection import reached_brokers
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.topics import check_topics
from kae.streams.topology.types import Topology


def read_generations(topology: Topology, clients: KafkaClients) -> GenerationState:
    """The book as far as the control topic goes now; an empty one where there is no such topic.

    Raises: KafkaTimeoutError, KafkaConnectionError: no broker answers.
    """
    book = GenerationState(topology.generation)
    place = TopicPartition(topology.control_topic, 0)
    with clients.borrowed_consumer() as consumer:
        if place.topic not in consumer.topics():
            return book  # told by who checks the topics
        end = consumer.end_offsets([place])[place]
        consumer.assign([place])
        consumer.seek_to_beginning(place)
        polls = patient_polls(consumer, place.topic)
        while consumer.position(place) < end:
            for record in next(polls):
                try:
                    book.enter(record.offset, records.decode(record.value))
                except msgspec.DecodeError:
                    continue  # who carries requests out passes it over too, and logs it
    return book


class RequestOutcome(StrEnum):
    """What became of a request."""

    DONE = "done"
    REFUSED = "refused"
    OPEN = "open"  # no answer yet


class ShardAnswered(msgspec.Struct, frozen=True):
    """What became of a request; `request` is its offset on the control topic."""

    shard: int
    request: int
    outcome: RequestOutcome
    cause: str
    worker: str | None
    version: int | None


class RequestPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a command would do to one shard; `refused` says why it would not."""

    shard: int
    owner: str
    refused: str = ""


R = TypeVar("R", bound=Request)


class ControlClient:
    """The control topic as one command sees it."""

    def __init__(self, topology: Topology, clients: KafkaClients, shards: Sequence[int]) -> None:
        self.topology = topology
        self.shards = shards
        self.clients = clients
        self.book = ControlState(topology.generation)
        self._log = clients.log(topology.control_topic, 0)

    def read(self) -> None:
        """Take in the topic as far as it goes now.

        Raises: KafkaUnreachable.
        """
        place = TopicPartition(self.topology.control_topic, 0)
        with self.clients.borrowed_consumer() as consumer:
            end = consumer.end_offsets([place])[place]
            consumer.assign([place])
            consumer.seek_to_beginning(place)
            polls = patient_polls(consumer, self._log.name)
            while consumer.position(place) < end:
                for record in next(polls):
                    self._enter(record)

    def _enter(self, record: Any) -> None:
        try:
            self.book.enter(record.offset, records.decode(record.value))
        except msgspec.DecodeError:
            return  # whoever carries requests out passes it over too, and logs it

    def owner(self, shard: int) -> str:
        """Who held a shard last, and under which epoch, as people read it."""
        known = self.book.owners.get(shard)
        return f"{known.owner} (epoch {known.epoch})" if known else "nobody yet"

    def owners(self) -> list[RequestPlan]:
        """The plan of a request that needs no more than an owner."""
        return [RequestPlan(shard=shard, owner=self.owner(shard)) for shard in self.shards]

    def sign(self, kind: Callable[..., R], shard: int, reason: str, **more: int) -> R:
        """A request in the name of whoever runs this command."""
        return kind(self.topology.generation, shard, signature(), reason, now_ms(), **more)

    def carry(self, requests: Sequence[Request], within_seconds: float) -> list[ShardAnswered]:
        """Ask, and wait for the answers.

        Raises: AppendUnknown.
        """
        asked = self._log.append([records.encode(one) for one in requests]).offsets()
        answers = self._wait(asked, within_seconds)
        return [
            show_answer(request.shard, offset, answers.get(offset))
            for request, offset in zip(requests, asked, strict=True)
        ]

    def _wait(self, asked: Sequence[int], within_seconds: float) -> dict[int, RequestAnswer]:
        """The answers to requests, by offset; those that come in time."""
        answers: dict[int, RequestAnswer] = {}
        deadline = time.monotonic() + within_seconds
        for offset, payload in self._log.read(asked[0]):
            if offset >= 0:
                answer = _answer(payload)
                if answer is not None and answer.request in asked:
                    answers.setdefault(answer.request, answer)
            if len(answers) == len(asked) or time.monotonic() > deadline:
                break
        return answers


def show_answer(shard: int, request: int, answer: RequestAnswer | None) -> ShardAnswered:
    if answer is None:
        return ShardAnswered(shard, request, RequestOutcome.OPEN, "", None, None)
    outcome = RequestOutcome.REFUSED if answer.refused else RequestOutcome.DONE
    return ShardAnswered(shard, request, outcome, answer.refused, answer.worker, answer.version)


def _answer(payload: bytes) -> RequestAnswer | None:
    try:
        record = records.decode(payload)
    except msgspec.DecodeError:
        return None
    return record if isinstance(record, RequestAnswer) else None


@contextmanager
def open_control_client(topology: Topology, shards: Sequence[int] = ()) -> Iterator[ControlClient]:
    """A desk that has read the topic, for requests about these shards.

    Raises: ShardUnknown; KafkaUnreachable; TopicDiffers.
    """
    named = named_shards(topology, shards)
    check_topics(topology)
    clients = KafkaClients.of(
        topology,
        "shard",
        timeout_seconds=topology.kafka.delivery_timeout_seconds,
        max_bytes=topology.limits.delta_bytes,
    )
    try:
        with reached_brokers(topology):
            desk = ControlClient(topology, clients, named)
            desk.read()
            yield desk
    finally:
        clients.close()


def named_shards(topology: Topology, shards: Sequence[int]) -> list[int]:
    """The shards that were named, each once.

    Raises: ShardUnknown.
    """
    for shard in shards:
        if not 0 <= shard < topology.shards:
            raise ShardUnknown(
                f"shard {shard}: {topology.path} has shards 0 to {topology.shards - 1}; "
                "`kae shard list` shows them"
            )
    return sorted(set(shards))


def signature() -> str:
    """Who asks: user and host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
