"""The desk of requests: where a command reads the control topic, asks, and waits for answers."""

import getpass
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from kafka import TopicPartition

from kae.streams import control
from kae.streams.bootstrap import reached_brokers
from kae.streams.control import Answer, ControlBook, Request
from kae.streams.errors import ShardUnknown
from kae.streams.kafka_log import KafkaClients
from kae.streams.letters.letterbox import patient_polls
from kae.streams.replica.follower import now_ms
from kae.streams.shards.answers import Outcome, Planned, ShardAnswered
from kae.streams.topics import check_topics
from kae.streams.topology import Topology

R = TypeVar("R", bound=Request)


class RequestsDesk:
    """The control topic as one command sees it."""

    def __init__(self, topology: Topology, clients: KafkaClients, shards: Sequence[int]) -> None:
        self.topology = topology
        self.shards = shards
        self.clients = clients
        self.book = ControlBook(topology.generation)
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
            self.book.enter(record.offset, control.decode(record.value))
        except msgspec.DecodeError:
            return  # whoever carries requests out passes it over too, and logs it

    def owner(self, shard: int) -> str:
        """Who held a shard last, and under which epoch, as people read it."""
        known = self.book.owners.get(shard)
        return f"{known.owner} (epoch {known.epoch})" if known else "nobody yet"

    def owners(self) -> list[Planned]:
        """The plan of a request that needs no more than an owner."""
        return [Planned(shard=shard, owner=self.owner(shard)) for shard in self.shards]

    def sign(self, kind: Callable[..., R], shard: int, reason: str, **more: int) -> R:
        """A request in the name of whoever runs this command."""
        return kind(self.topology.generation, shard, signature(), reason, now_ms(), **more)

    def carry(self, requests: Sequence[Request], within_seconds: float) -> list[ShardAnswered]:
        """Ask, and wait for the answers.

        Raises: AppendUnknown.
        """
        asked = self._log.append([control.encode(one) for one in requests]).offsets()
        answers = self._wait(asked, within_seconds)
        return [
            show_answer(request.shard, offset, answers.get(offset))
            for request, offset in zip(requests, asked, strict=True)
        ]

    def _wait(self, asked: Sequence[int], within_seconds: float) -> dict[int, Answer]:
        """The answers to requests, by offset; those that come in time."""
        answers: dict[int, Answer] = {}
        deadline = time.monotonic() + within_seconds
        for offset, payload in self._log.read(asked[0]):
            if offset >= 0:
                answer = _answer(payload)
                if answer is not None and answer.request in asked:
                    answers.setdefault(answer.request, answer)
            if len(answers) == len(asked) or time.monotonic() > deadline:
                break
        return answers


def show_answer(shard: int, request: int, answer: Answer | None) -> ShardAnswered:
    if answer is None:
        return ShardAnswered(shard, request, Outcome.OPEN, "", None, None)
    outcome = Outcome.REFUSED if answer.refused else Outcome.DONE
    return ShardAnswered(shard, request, outcome, answer.refused, answer.worker, answer.version)


def _answer(payload: bytes) -> Answer | None:
    try:
        record = control.decode(payload)
    except msgspec.DecodeError:
        return None
    return record if isinstance(record, Answer) else None


@contextmanager
def open_desk(topology: Topology, shards: Sequence[int] = ()) -> Iterator[RequestsDesk]:
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
            desk = RequestsDesk(topology, clients, named)
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
