"""The follower: one thread and one consumer that read every log and put views in use."""

import threading
import time
from collections.abc import Callable
from math import ceil
from typing import Any

import msgspec
import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from kae.sinks.log.protocol import refuse_gap
from kae.sinks.store.disk import DiskFull
from kae.streams.clock import now_ms
from kae.streams.kafka.log import KafkaClients, poll
from kae.streams.replica.freshness import FreshnessGauge
from kae.streams.replica.held_logs import HeldLogs
from kae.streams.replica.index import Edits, ReplicaIndex, changes_terms
from kae.streams.replica.leases import Lease, Leases, LeaseWriter
from kae.streams.replica.notifier import ViewNotifier
from kae.streams.replica.view import View
from kae.streams.telemetry.traces import Spans, tracer
from kae.streams.topology.types import Topology

log = structlog.get_logger()
POLL_MS = 100
# While words are captured beside.
LISTEN_MS = 5
# Between two views that differ in items alone; a view that takes long is built less often, so that
# at most half of the time goes to building.
PAUSE_SECONDS = 0.005
PAUSE_PER_BUILD = 1
UNHEARD = "the words of its items are still being read; it decodes, and does not search yet"
# How long a part of a term waits for the others.
PARTS_SECONDS = 0.05


class Follower:
    """Folds all records into the index, and tells the other replicas what its view holds."""

    def __init__(
        self,
        topology: Topology,
        name: str,
        clients: KafkaClients,
        index: ReplicaIndex,
        leases: Leases,
        gauge: FreshnessGauge,
        bell: ViewNotifier,
        serves: Callable[[], bool],
        on_view: Callable[[View, bool], None],
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        """The callables are called from the thread; `serves` says whether answers are from here.

        `on_view` is given each view that is in use, and whether the logs had been caught up with
        before. `on_end` is called once: with the error, or None after `stop`.
        """
        self._topology = topology
        self._name = name
        self._clients = clients
        self._index = index
        self._leases = leases
        self._gauge = gauge
        self._bell = bell
        self._serves = serves
        self._on_view = on_view
        self._on_end = on_end
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._bindings = TopicPartition(topology.bindings_topic, 0)
        self._replicas = TopicPartition(topology.replicas_topic, 0)
        self._deltas = [
            TopicPartition(topology.deltas_topic, shard) for shard in range(topology.shards)
        ]
        self._lease = LeaseWriter(
            clients.producer,
            topology.replicas_topic,
            name,
            topology.generation,
            topology.replica.lease_seconds,
        )
        self._held = HeldLogs(index.disk, topology.stores.write_buffer_bytes)
        self._due_at: float | None = None  # when a view of what has changed is to be in use
        self._terms_changed = False
        self._news = False  # for those who wait
        self._tracer = tracer("replica", name)
        self._followed: list[Spans] = []  # of records that no view has yet
        self._viewed = self._positions()
        self._swapped_at = 0.0
        self._asked_at = 0.0
        self._ask_pause = min(1.0, topology.replica.fresh_within_seconds / 3)
        self._ready = False

    def start(self) -> None:
        self._thread.start()

    def tell_soon(self) -> None:
        """Have the lease written at once, since more than versions has changed."""
        self._lease.hasten()

    def stop(self, within_seconds: float) -> bool:
        """Whether the thread has ended; it may wait for a broker that is silent."""
        self._stopping.set()
        self._thread.join(within_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            consumer = self._clients.consumer()
            try:
                self._follow(consumer)
                self._lease.sign_off()
            finally:
                consumer.close(autocommit=False)
        except BaseException as error:
            self._on_end(error)
        else:
            self._on_end(None)

    def _follow(self, consumer: KafkaConsumer) -> None:
        consumer.assign([*self._deltas, self._bindings, self._replicas])
        for partition, state in zip(self._deltas, self._index.logs, strict=True):
            consumer.seek(partition, state.next_offset)
        consumer.seek(self._bindings, 0)
        # Its older records may be compacted away: the newest of each replica is enough.
        consumer.seek_to_beginning(self._replicas)
        while not self._stopping.is_set():
            records = poll(consumer, "the logs", self._patience_ms())
            self._held.retry(consumer)
            for record in records:
                self._fold(consumer, record)
            self._ask_ends(consumer)
            if self._is_due():
                self._swap()
            self._tell()
            if self._index.listen(time.monotonic()) and self._due_at is None:
                self._due_at = self._next_swap_at()
            self._index.journal.note_leases(self._leases.live(now_ms()), len(self._deltas))
            if self._news:
                self._news = False
                self._bell.ring()

    # Records.

    def _fold(self, consumer: KafkaConsumer, record: Any) -> None:
        if record.topic == self._topology.replicas_topic:
            self._leases.note(record.key, record.value)
            self._news = True
            return
        payload = record.value or b""
        if record.topic == self._topology.bindings_topic:
            refuse_gap(_name(self._bindings), self._index.bindings_log.next_offset, record.offset)
            edits: Edits = self._index.fold_bindings(record.offset, payload)
        else:
            edits = self._fold_shard(consumer, record, payload)
        self._note_due(edits)

    def _fold_shard(self, consumer: KafkaConsumer, record: Any, payload: bytes) -> Edits:
        partition = self._deltas[record.partition]
        expected = self._index.logs[record.partition].next_offset
        if partition in self._held and record.offset > expected:
            return ()  # it came before the log was held, and comes again
        refuse_gap(_name(partition), expected, record.offset)
        try:
            edits = self._index.fold_shard(record.partition, record.offset, payload)
        except DiskFull as error:
            self._held.hold(consumer, partition, record.offset, error)
            return ()
        self._held.release(partition)
        if record.headers and self._tracer is not None:
            self._followed.append(self._tracer.process([record]))
        return edits

    # Views.

    def _note_due(self, edits: Edits) -> None:
        """Say when a view of these edits is to be in use."""
        now = time.monotonic()
        due_at = max(now, self._next_swap_at())
        if changes_terms(edits):
            self._terms_changed = True
            if self._gauge.caught_up:
                # A term's parts come from every log: one view with all of them, not one each.
                whole = self._index.journal.all_whole(edits, len(self._deltas))
                due_at = now if whole else now + PARTS_SECONDS
        self._due_at = due_at if self._due_at is None else min(self._due_at, due_at)

    def _next_swap_at(self) -> float:
        pause = max(PAUSE_SECONDS, PAUSE_PER_BUILD * self._index.view.built_seconds)
        return self._swapped_at + pause

    def _is_due(self) -> bool:
        """Whether a view of what has changed is due, or a term begins or ends by time alone."""
        if self._due_at is not None and time.monotonic() >= self._due_at:
            return True
        turns_ms = self._index.view.turns_ms
        return turns_ms is not None and now_ms() >= turns_ms

    def _patience_ms(self) -> int:
        turns_ms = self._index.view.turns_ms
        turn = POLL_MS if turns_ms is None else max(0, min(POLL_MS, turns_ms - now_ms()))
        if self._due_at is None:
            return min(turn, LISTEN_MS if self._index.is_listening else POLL_MS)
        left_ms = (self._due_at - time.monotonic()) * 1000
        return max(0, min(turn, ceil(left_ms)))

    def _swap(self) -> None:
        view = self._index.swap(now_ms())
        self._swapped_at = time.monotonic()
        if self._terms_changed:
            self._lease.write(self._own_lease())
        self._due_at, self._terms_changed, self._news = None, False, True
        self._on_view(view, self._ready)
        while self._followed:
            self._followed.pop().end()

    def _own_lease(self) -> Lease:
        view = self._index.view
        return Lease(
            view.generation,
            self._name,
            view.bindings.version,
            view.versions,
            view.swapped_ms,
            self._serves(),
        )

    def _tell(self) -> None:
        """Say what the view holds: to the gauge, to the other replicas, once to the log."""
        if self._due_at is None:
            self._viewed = self._positions()
        self._gauge.note_view(self._viewed)
        self._gauge.hindrance = self._index.disk.reason
        self._gauge.lacking = "" if self._index.hears else UNHEARD
        if self._lease.is_due:
            self._lease.write(msgspec.structs.replace(self._own_lease(), at_ms=now_ms()))
        if self._gauge.caught_up and self._index.hears and not self._ready:
            self._ready = self._news = True
            view = self._index.view
            log.info(
                "replica_ready",
                replica=self._name,
                generation=view.generation,
                items=view.items,
                versions=view.versions,
                bindings_version=view.bindings.version,
            )

    def _positions(self) -> dict[str, int]:
        """The next offset of each log."""
        states = zip(self._deltas, self._index.logs, strict=True)
        positions = {_name(tp): state.next_offset for tp, state in states}
        positions[_name(self._bindings)] = self._index.bindings_log.next_offset
        return positions

    def _ask_ends(self, consumer: KafkaConsumer) -> None:
        now = time.monotonic()
        if now - self._asked_at < self._ask_pause:
            return
        self._asked_at = now
        try:
            ends = consumer.end_offsets([*self._deltas, self._bindings])
        except KafkaError as error:
            # The view gets older; the consumer goes on trying.
            log.warning("ends_unknown", error=repr(error))
            return
        self._gauge.ask(now, {_name(tp): end for tp, end in ends.items()})


def _name(partition: TopicPartition) -> str:
    return f"{partition.topic}/{partition.partition}"
