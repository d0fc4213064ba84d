"""Lag: how many events a shard has not indexed yet, and how old the oldest of them is.

The markers that end transactions, and what these have aborted, take offsets and are no events: a
partition is read to its end when nothing but such is left. An open transaction is beyond its end.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError

from kae.streams.kafka.log import BrokersMoved, KafkaClients
from kae.streams.kafka.source import SourcePosition, SourceTopic, find_break

log = structlog.get_logger()
# How long to look for the first event that is not indexed, and how long at once.
LOOK_SECONDS = 3.0
POLL_MS = 50
# Enough for the first event that is not indexed; later ones are not needed.
FETCH_BYTES = 1 << 16
EVERY_SECONDS = 2.0
# How long the end of a partition has to hold no event before a shard moves past it.
SETTLED_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Lag:
    """One partition at one moment; `waiting_ms` is the time of the first event not indexed.

    `end` is `position` when no event lies between it and the end of the partition, which is
    `read_to` then. `is_gone` says that the partition begins after the position.
    """

    position: int
    end: int
    waiting_ms: int | None
    asked_ms: int
    is_gone: bool = False
    read_to: int = 0

    @property
    def events(self) -> int:
        """The offsets up to the end; a few may be markers of transactions."""
        return self.end - self.position

    def seconds(self, position: int, now_ms: int) -> float:
        """The age of the oldest event not indexed, when the index is at `position` now."""
        if self.waiting_ms is None or position >= self.end:
            return 0.0
        # The event that waited is indexed by now; the next one is younger, by an unknown time.
        until_ms = now_ms if position == self.position else self.asked_ms
        return max(0.0, (until_ms - self.waiting_ms) / 1000)


def read_lags(
    consumer: KafkaConsumer, positions: Mapping[TopicPartition, int]
) -> dict[TopicPartition, Lag]:
    """Ask the brokers; reassigns the consumer.

    Raises: KafkaError.
    """
    ends = consumer.end_offsets(list(positions)) if positions else {}
    begins = consumer.beginning_offsets(list(positions)) if positions else {}
    waiting = {}
    for tp, position in positions.items():
        if ends[tp] <= position:
            continue
        # One by one: brokers answer at once, and a fetch of several would return far more data.
        found = _first_waiting(consumer, tp, max(position, begins[tp]), ends[tp])
        if found is not None:
            waiting[tp] = found
    asked_ms = time.time_ns() // 1_000_000
    lags = {}
    for tp, position in positions.items():
        is_gone = begins.get(tp, 0) > position
        # What is gone may have been events: they count.
        if is_gone or tp in waiting:
            lags[tp] = Lag(position, ends[tp], waiting.get(tp) or None, asked_ms, is_gone, position)
        else:
            read_to = max(position, ends[tp])
            lags[tp] = Lag(position, position, None, asked_ms, read_to=read_to)
    return lags


def _first_waiting(
    consumer: KafkaConsumer, tp: TopicPartition, position: int, end: int
) -> int | None:
    """The time of the first event before the end, None if there is none.

    0 if it does not come in time.
    """
    consumer.assign([tp])
    consumer.seek(tp, position)
    deadline = time.monotonic() + LOOK_SECONDS
    while time.monotonic() < deadline:
        try:
            records = consumer.poll(timeout_ms=POLL_MS, max_records=1).get(tp, [])
        except OffsetOutOfRangeError:
            return 0  # deleted since
        for record in records:
            at_ms: int = record.timestamp
            return at_ms
        if consumer.position(tp) >= end:
            return None
    return 0


class LagMonitor:
    """Measures the lag of a worker's shards, in a thread with its own consumer.

    It also notices that the topic no longer continues where a shard stands.
    Faust's end offsets are those of its last fetch: while its queue is full it fetches nothing, so
    they do not move just when the lag rises.
    """

    def __init__(
        self,
        clients: KafkaClients,
        topic: str,
        positions: Callable[[], Mapping[int, int]],
        source_positions: Callable[[], Mapping[int, SourcePosition]],
    ) -> None:
        """Both are called from the thread; the second leaves out shards that have stopped."""
        self._clients = clients
        self._topic = topic
        self._positions = positions
        self._source_positions = source_positions
        self._source = SourceTopic(clients, topic)
        self._on_break: Callable[[], object] = lambda: None
        self._lags: Mapping[int, Lag] = MappingProxyType({})
        # By shard: what lies there without an event, and since when.
        self._empty: dict[int, tuple[range, float]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lag", daemon=True)

    @property
    def lags(self) -> Mapping[int, Lag]:
        """The last measurement, by shard; replaced as a whole."""
        return self._lags

    def empty_ends(self) -> dict[int, range]:
        """Offsets at the ends of partitions that have held no event for a while, by shard."""
        before = time.monotonic() - SETTLED_SECONDS
        return {shard: empty for shard, (empty, since) in self._empty.items() if since < before}

    def start(self, on_break: Callable[[], object]) -> None:
        """`on_break` is called, from the thread, whenever a shard cannot go on where it stands."""
        self._on_break = on_break
        self._thread.start()

    def stop(self) -> None:
        """Does not join the thread: it may be waiting for a broker that does not answer."""
        self._stopping.set()

    def _run(self) -> None:
        consumer: KafkaConsumer | None = None
        known = True
        while not self._stopping.wait(EVERY_SECONDS):
            try:
                consumer = consumer or self._clients.consumer(FETCH_BYTES)
                self._measure(consumer)
                self._look_for_breaks(consumer)
                known = True
            except KafkaError as error:
                # The last lags stay, and their seconds grow.
                if known:
                    log.warning("lag_unknown", error=repr(error))
                known = False
                consumer = self._unless_moved(consumer)
        if consumer is not None:
            consumer.close(autocommit=False)

    def _look_for_breaks(self, consumer: KafkaConsumer) -> None:
        # The positions first: an end that is asked later cannot lie before them by itself.
        positions = self._source_positions()
        asked = {number: at.next_offset for number, at in positions.items()}
        found = self._source.bounds(consumer, asked)
        if any(find_break(at, found[number]) for number, at in positions.items()):
            self._on_break()

    def _unless_moved(self, consumer: KafkaConsumer | None) -> KafkaConsumer | None:
        if consumer is None:
            return None
        try:
            self._clients.refuse_moved(consumer, TopicPartition(self._topic, 0))
        except BrokersMoved:
            consumer.close(autocommit=False)
            return None
        return consumer

    def _measure(self, consumer: KafkaConsumer) -> None:
        wanted = {TopicPartition(self._topic, p): at for p, at in self._positions().items()}
        found = read_lags(consumer, wanted)
        self._lags = MappingProxyType({tp.partition: lag for tp, lag in found.items()})
        now, known = time.monotonic(), self._empty
        empty = {}
        for shard, lag in self._lags.items():
            if offsets := range(lag.position, lag.read_to):
                last = known.get(shard)
                empty[shard] = last if last and last[0] == offsets else (offsets, now)
        self._empty = empty
