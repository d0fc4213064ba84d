"""Lag: how many events a shard has not indexed yet, and how old the oldest of them is."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from kae.streams.kafka.log import KafkaClients

log = structlog.get_logger()
# How long a first waiting event is looked for. At the end of a partition there may be nothing but
# transaction markers, which nobody waits for.
LOOK_MS = 1000
# The first waiting event is wanted, and not what comes after it.
FETCH_BYTES = 1 << 16
EVERY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Lag:
    """One partition at one moment; `waiting_ms` is the time of the first event not indexed."""

    position: int
    end: int
    waiting_ms: int | None
    asked_ms: int

    def seconds(self, position: int, now_ms: int) -> float:
        """The age of the oldest event not indexed, for who has come to `position` by now."""
        if self.waiting_ms is None or position >= self.end:
            return 0.0
        # What waited then is indexed by now; what waits now is younger by as much as is unknown.
        until_ms = now_ms if position == self.position else self.asked_ms
        return max(0.0, (until_ms - self.waiting_ms) / 1000)


def read_lags(
    consumer: KafkaConsumer, positions: Mapping[TopicPartition, int]
) -> dict[TopicPartition, Lag]:
    """Ask the brokers; the consumer is assigned to other partitions by it.

    Raises: KafkaError.
    """
    ends = consumer.end_offsets(list(positions)) if positions else {}
    behind = {tp: offset for tp, offset in positions.items() if ends[tp] > offset}
    waiting = _first_waiting(consumer, behind)
    asked_ms = time.time_ns() // 1_000_000
    return {
        tp: Lag(position, max(position, ends[tp]), waiting.get(tp), asked_ms)
        for tp, position in positions.items()
    }


def _first_waiting(
    consumer: KafkaConsumer, behind: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    found: dict[TopicPartition, int] = {}
    for tp, offset in behind.items():
        # One after the other: brokers answer at once, and a fetch of many would bring much more.
        consumer.assign([tp])
        consumer.seek(tp, offset)
        records = consumer.poll(timeout_ms=LOOK_MS, max_records=1).get(tp, [])
        if records:
            found[tp] = records[0].timestamp
    return found


class LagMonitor:
    """Looks at the lag of what a worker holds, in a thread with a consumer of its own.

    Faust knows the ends too, but only those of its last fetch: while its queue is full, it fetches
    nothing, and they stand still just when the lag rises.
    """

    def __init__(
        self, clients: KafkaClients, topic: str, positions: Callable[[], Mapping[int, int]]
    ) -> None:
        """`positions` is called from the thread."""
        self._clients = clients
        self._topic = topic
        self._positions = positions
        self._lags: Mapping[int, Lag] = MappingProxyType({})
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lag", daemon=True)

    @property
    def lags(self) -> Mapping[int, Lag]:
        """The last look, by shard; replaced as a whole."""
        return self._lags

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """It may be waiting for a broker that is silent, and is not waited for."""
        self._stopping.set()

    def _run(self) -> None:
        consumer: KafkaConsumer | None = None
        known = True
        while not self._stopping.wait(EVERY_SECONDS):
            try:
                consumer = consumer or self._clients.consumer(FETCH_BYTES)
                self._look(consumer)
                known = True
            except KafkaError as error:
                # What was known stays, and its seconds go on.
                if known:
                    log.warning("lag_unknown", error=repr(error))
                known = False
        if consumer is not None:
            consumer.close(autocommit=False)

    def _look(self, consumer: KafkaConsumer) -> None:
        wanted = {TopicPartition(self._topic, p): at for p, at in self._positions().items()}
        found = read_lags(consumer, wanted)
        self._lags = MappingProxyType({tp.partition: lag for tp, lag in found.items()})
