"""Reads the delta logs of a run while workers write them: what came when, and what it folds to."""

import time
from pathlib import Path

from kafka import TopicPartition

from kae.deploy.cluster import Cluster
from kae.sinks.log.edits import Delta, decode_record
from kae.sinks.log.fold import LogState, fold
from kae.sinks.store.store import ShardStore
from kae.streams.kafka.consumer import poll
from kae.streams.kafka.log import KafkaClients

POLL_SECONDS = 0.1


class DeltaLogs:
    """Looks at how long the logs are while the workers run, and reads them once they stand still.

    Reading them meanwhile would take the time of the workers that are being measured.
    """

    def __init__(self, clients: KafkaClients, cluster: Cluster) -> None:
        topology = cluster.topology
        self.records: dict[int, list[tuple[int, bytes]]] = {}
        self._cluster = cluster
        self._places = [TopicPartition(topology.deltas_topic, n) for n in range(topology.shards)]
        self._consumer = clients.consumer()
        self._consumer.assign(self._places)
        self._deltas: list[tuple[int, int]] = []  # (at_ms, items put)
        self._lengths: dict[TopicPartition, int] = {}
        self._grown_at = 0.0

    def wait_quiet(self, quiet_seconds: float, deadline: float) -> None:
        """Return when the logs have not grown for a while, or at the deadline.

        Raises: ProcessFailed when a worker ends.
        """
        self._grown_at = time.time()
        while time.time() - self._grown_at < quiet_seconds and time.monotonic() < deadline:
            lengths = self._consumer.end_offsets(self._places)
            if lengths != self._lengths:
                self._lengths, self._grown_at = lengths, time.time()
            self._cluster.check()
            time.sleep(POLL_SECONDS)

    def read(self) -> None:
        """Read from the beginning to where the logs ended when they were last looked at."""
        self.records = {place.partition: [] for place in self._places}
        self._consumer.seek_to_beginning(*self._places)
        while any(self._consumer.position(p) < end for p, end in self._lengths.items()):
            for record in poll(self._consumer, "the delta logs"):
                self.records[record.partition].append((record.offset, record.value))
        self._deltas = sorted(
            (parsed.at_ms, parsed.counts.put)
            for records in self.records.values()
            for _, value in records
            if isinstance(parsed := decode_record(value), Delta) and parsed.part == 0
        )

    @property
    def put(self) -> int:
        """The items in what was read."""
        return sum(put for _, put in self._deltas)

    def rate(self) -> float:
        """Items a second, from the first batch's deltas to when the logs last grew.

        The first batch is left out on both sides of the division: it has the start in it.
        """
        began = next(at_ms for at_ms, put in self._deltas if put)
        first = sum(put for at_ms, put in self._deltas if at_ms == began)
        return (self.put - first) / (self._grown_at - began / 1000)

    def close(self) -> None:
        self._consumer.close(autocommit=False)


def refolded_hash(folder: Path, records: list[tuple[int, bytes]]) -> str:
    """The content hash of a store that folds these records."""
    store, state = ShardStore(folder, 1 << 20), LogState()
    for offset, payload in records:
        folded = fold(state, offset, payload)
        if folded.delta is not None:
            store.apply(folded.delta, folded.state)
        state = folded.state
    content = store.content_hash()
    store.close()
    return content
