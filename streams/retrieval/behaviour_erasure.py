"""Erase what a session or a user did: a tombstone for each request, in its partition.

No build of samples uses an erased event from then on, whatever offsets it is given. The broker
removes its bytes when it compacts the partition, as behaviours.erased_within_hours says.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from kafka import TopicPartition
from kafka.errors import KafkaError

from kae.streams.errors import KafkaUnreachable
from kae.streams.events.behaviours import decode_behaviour
from kae.streams.events.envelope import Undecodable
from kae.streams.kafka.connection import REFUSALS, reached_brokers
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.reader import read_to_end
from kae.streams.kafka.topics import check_topics
from kae.streams.retrieval.behaviour_ingest import behaviours_of
from kae.streams.topology.types import Topology


class BehaviourErased(msgspec.Struct, frozen=True):
    """What `kae behaviour erase --json` prints; a dry run erases nothing."""

    dry_run: bool
    read: int  # records of the topic
    found: int  # requests of these sessions and users
    erased: int
    erased_before: int  # whose bytes the broker has not removed yet
    gone_within_hours: int


class _Requests:
    """The requests of some persons, by partition and key: whether each is still to be erased."""

    def __init__(self, sessions: Sequence[str], users: Sequence[str], max_bytes: int) -> None:
        self._sessions, self._users = frozenset(sessions), frozenset(users)
        self._max_bytes = max_bytes
        self.read = 0
        self.standing: dict[tuple[int, bytes], bool] = {}

    def take(self, record: Any) -> None:
        self.read += 1
        place = (record.partition, record.key or b"")
        if record.value is None:
            if place in self.standing:
                self.standing[place] = False
        elif place in self.standing or self._is_theirs(record):
            self.standing[place] = True

    def _is_theirs(self, record: Any) -> bool:
        try:
            event = decode_behaviour(
                record.key,
                record.value,
                self._max_bytes,
                record.timestamp,
                users=True,
                headers=record.headers,
            )
        except Undecodable:
            # It cannot be read, but it may name them.
            names = (self._sessions | self._users) - {""}
            return any(
                record.key == name.encode() or msgspec.json.encode(name) in record.value
                for name in names
            )
        return event.session in self._sessions or event.user in self._users - {""}


def erase_behaviour(
    topology: Topology, sessions: Sequence[str], users: Sequence[str], *, dry_run: bool = False
) -> BehaviourErased:
    """Erase all requests of these sessions and users that the topic holds now.

    Raises: BehavioursOff, TopicDiffers, KafkaUnreachable, KafkaRefused.
    """
    part = behaviours_of(topology)
    check_topics(topology)
    with reached_brokers(topology), KafkaClients.for_writing(topology, "erasure") as clients:
        requests = _Requests(sessions, users, topology.limits.event_bytes)
        with clients.borrowed_consumer() as consumer:
            numbers = consumer.partitions_for_topic(topology.behaviours_topic) or ()
        places = {TopicPartition(topology.behaviours_topic, n): None for n in sorted(numbers)}
        for record in read_to_end(clients, places):
            requests.take(record)
        wanted = [place for place, stands in requests.standing.items() if stands]
        if not dry_run:
            _send_tombstones(topology, clients, wanted)
    return BehaviourErased(
        dry_run=dry_run,
        read=requests.read,
        found=len(requests.standing),
        erased=0 if dry_run else len(wanted),
        erased_before=len(requests.standing) - len(wanted),
        gone_within_hours=part.erased_within_hours,
    )


def _send_tombstones(
    topology: Topology, clients: KafkaClients, places: Sequence[tuple[int, bytes]]
) -> None:
    topic = topology.behaviours_topic
    try:
        futures = [
            clients.producer.send(topic, key=key, value=None, partition=partition)
            for partition, key in places
        ]
        for future in futures:
            future.get(timeout=clients.timeout_seconds)
    except REFUSALS:
        raise
    except KafkaError as error:
        raise KafkaUnreachable(
            f"Kafka at {topology.kafka.bootstrap} has not acknowledged all of {len(places)} "
            f"tombstones: {error!r}; run the same command again, which erases the rest"
        ) from error
