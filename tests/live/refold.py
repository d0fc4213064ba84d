"""Stores folded from a line's logs, beside everything that runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kafka import TopicPartition

from kae.sinks.log.fold import LogState, fold
from kae.sinks.log.ownership import Apply
from kae.sinks.store.store import ShardStore
from kae.streams.kafka.log import KafkaClients
from kae.streams.topology.types import Topology


class Reading:
    """One log of Apache Kafka, folded as far as it goes at the moment."""

    def __init__(self, clients: KafkaClients, topic: str, partition: int, apply: Apply) -> None:
        self.state = LogState()
        self.ignored: list[str] = []
        self._clients = clients
        self._log = clients.log(topic, partition)
        self._place = TopicPartition(topic, partition)
        self._apply = apply

    def read_on(self) -> None:
        with self._clients.borrowed_consumer() as consumer:
            end = consumer.end_offsets([self._place])[self._place]
        if self.state.next_offset >= end:
            return
        for offset, payload in self._log.read(self.state.next_offset):
            if offset >= 0:
                self._fold(offset, payload)
            if self.state.next_offset >= end:
                return

    def _fold(self, offset: int, payload: bytes) -> None:
        folded = fold(self.state, offset, payload)
        if folded.delta is not None:
            self._apply(folded.delta, folded.state)
        if folded.ignored:
            self.ignored.append(folded.ignored)
        self.state = folded.state


class Refold(Reading):
    """One shard's store as its log says."""

    def __init__(self, clients: KafkaClients, topic: str, shard: int, folder: Path) -> None:
        self.store = ShardStore(folder, 1 << 20)
        super().__init__(clients, topic, shard, self.store.apply)


@contextmanager
def refolds(topology: Topology, folder: Path) -> Iterator[list[Refold]]:
    """One for each shard."""
    clients = KafkaClients(
        topology.kafka.bootstrap, "refold", timeout_seconds=30, max_bytes=1 << 20
    )
    folded = [
        Refold(clients, topology.deltas_topic, shard, folder / f"refold-{shard}")
        for shard in range(topology.shards)
    ]
    try:
        yield folded
    finally:
        for one in folded:
            one.store.close()
        clients.close()
