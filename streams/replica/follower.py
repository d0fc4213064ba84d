"""The follower: one thread and one consumer that read every log and put views in use."""

import math
import threading
import time
from contextlib import suppress
from typing import Any, Protocol

import msgspec
import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from kae.sinks.log.protocol import LOG_ENDED_REMEDY, LogEnded, refuse_gap
from kae.sinks.store.disk import DiskFull, disk_space
from kae.streams.clock import now_ms
from kae.streams.kafka.consumer import poll
from kae.streams.kafka.log import BrokersMoved, KafkaClients, SameTopic
from kae.streams.replica.freshness import FreshnessGauge
from kae.streams.replica.index import Edits, ReplicaIndex
from kae.streams.replica.leases import Lease, Leases, LeaseWriter
from kae.streams.replica.notifier import ViewNotifier
from kae.streams.replica.view import View
from kae.streams.replica.view_schedule import ViewSchedule
from kae.streams.runtime.folders import FullDisk
from kae.streams.telemetry.traces import Spans, tracer
from kae.streams.topology.types import Topology

log = structlog.get_logger()
POSTINGS_PENDING = (
    "the words of its items are still being read; it decodes, and does not search yet"
)
# RocksDB itself looks every five seconds whether there is room again.
RETRY_SECONDS = 1.0
# The embedded broker tells an end too early; what it holds is read within this time.
BINDINGS_SECONDS = 10.0


class FollowerListener(Protocol):
    """Told of what the follower of a generation does, by the follower's thread."""

    def is_serving(self, generation: int) -> bool:
        """Whether this replica answers from the generation."""

    def view_swapped(self, view: View, *, caught_up: bool) -> None:
        """A view came into use; `caught_up` if a former view had all that the logs held."""

    def view_complete(self, generation: int, asked_at: float) -> None:
        """The view in use has all that the logs held at `asked_at`, on the monotonic clock."""

    def follower_ended(self, generation: int, error: BaseException | None) -> None:
        """Called once: with the error, or with None after `stop`."""


class Follower:
    """Reads records, folds them into the index, swaps views, and writes this replica's lease."""

    def __init__(
        self,
        topology: Topology,
        name: str,
        clients: KafkaClients,
        index: ReplicaIndex,
        leases: Leases,
        gauge: FreshnessGauge,
        notifier: ViewNotifier,
        listener: FollowerListener,
    ) -> None:
        self._topology = topology
        self._generation = topology.generation
        self._name = name
        self._clients = clients
        self._index = index
        self._leases = leases
        self._gauge = gauge
        self._notifier = notifier
        self._listener = listener
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._bindings = TopicPartition(topology.bindings_topic, 0)
        self._replicas = TopicPartition(topology.replicas_topic, 0)
        self._deltas = [
            TopicPartition(topology.deltas_topic, shard) for shard in range(topology.shards)
        ]
        self._lease = LeaseWriter(
            clients,
            topology.replicas_topic,
            name,
            topology.generation,
            topology.replica.lease_seconds,
        )
        self._paused = PausedLogs(index.disk, topology.stores.write_buffer_bytes)
        self._schedule = ViewSchedule(index)
        self._answers_changed = False
        self._tracer = tracer("replica", name)
        self._spans: list[Spans] = []  # of records that no view has yet
        self._viewed = self._positions()
        self._ends_asked_at = 0.0
        self._answered_at = time.monotonic()
        self._ends_pause = min(1.0, topology.replica.fresh_within_seconds / 3)
        self._ready = False
        self._complete_since = time.monotonic()
        self._same_topics = SameTopic(clients, [topology.deltas_topic, topology.bindings_topic])

    def start(self) -> None:
        self._thread.start()

    def renew_lease(self) -> None:
        """Have the lease written at once; may be called from any thread."""
        self._lease.make_due()

    def stop(self, within_seconds: float) -> bool:
        """Whether the thread has ended; it may be waiting for a broker that does not answer."""
        self._stopping.set()
        self._thread.join(within_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                with suppress(BrokersMoved), self._clients.borrowed_consumer() as consumer:
                    self._follow(consumer)
            self._lease.revoke()
        except BaseException as error:
            self._listener.follower_ended(self._generation, error)
        else:
            self._listener.follower_ended(self._generation, None)

    def _follow(self, consumer: KafkaConsumer) -> None:
        self._seek(consumer)
        index, schedule = self._index, self._schedule
        while not self._stopping.is_set():
            records = poll(consumer, "the logs", schedule.poll_ms())
            self._paused.retry(consumer)
            for record in records:
                self._fold(consumer, record)
            self._ask_ends(consumer)
            self._same_topics.check()
            if schedule.is_due:
                self._swap()
            self._report()
            self._check_bindings()
            if index.refresh_postings(time.monotonic()):
                schedule.add_postings()
            index.term_progress.add_leases(self._leases.live(now_ms()), len(self._deltas))
            if self._answers_changed:
                self._answers_changed = False
                self._notifier.notify()

    def _seek(self, consumer: KafkaConsumer) -> None:
        consumer.assign([*self._deltas, self._bindings, self._replicas])
        for partition, state in zip(self._deltas, self._index.logs, strict=True):
            consumer.seek(partition, state.next_offset)
        consumer.seek(self._bindings, self._index.bindings_log.next_offset)
        # Its older records may be compacted away: the newest of each replica is enough.
        consumer.seek_to_beginning(self._replicas)

    # Records.

    def _fold(self, consumer: KafkaConsumer, record: Any) -> None:
        if record.topic == self._topology.replicas_topic:
            self._leases.add(record.key, record.value)
            self._answers_changed = True
            return
        payload = record.value or b""
        if record.topic == self._topology.bindings_topic:
            refuse_gap(_name(self._bindings), self._index.bindings_log.next_offset, record.offset)
            edits: Edits = self._index.fold_bindings(record.offset, payload)
        else:
            edits = self._fold_shard(consumer, record, payload)
        self._schedule.add(edits, caught_up=self._gauge.caught_up)

    def _fold_shard(self, consumer: KafkaConsumer, record: Any, payload: bytes) -> Edits:
        partition = self._deltas[record.partition]
        expected = self._index.logs[record.partition].next_offset
        if partition in self._paused and record.offset > expected:
            return ()  # fetched before the pause; it is fetched again
        refuse_gap(_name(partition), expected, record.offset)
        try:
            edits = self._index.fold_shard(record.partition, record.offset, payload)
        except DiskFull as error:
            self._paused.pause(consumer, partition, record.offset, error)
            return ()
        self._paused.applied(partition)
        if record.headers and self._tracer is not None:
            self._spans.append(self._tracer.process([record]))
        return edits

    # Views.

    def _swap(self) -> None:
        view = self._index.swap(now_ms())
        terms_changed = self._schedule.terms_changed
        self._schedule.swapped()
        if terms_changed:
            self._lease.write(self._own_lease())
        self._answers_changed = True
        self._listener.view_swapped(view, caught_up=self._ready)
        while self._spans:
            self._spans.pop().end()

    def _check_bindings(self) -> None:
        """Refuse a bindings log that has been read to its end and lacks what the shards have.

        Raises: LogEnded.
        """
        now, view = time.monotonic(), self._index.view
        reached = max(reader.state.source.bindings_version for reader in view.shards)
        if reached <= view.bindings.version or not self._gauge.caught_up:
            self._complete_since = now
        elif now - self._complete_since > BINDINGS_SECONDS:
            raise LogEnded(
                f"{_name(self._bindings)} ends at version {view.bindings.version}, and a shard has "
                f"version {reached}: another topic, or one that lost its end. {LOG_ENDED_REMEDY}"
            )

    def _own_lease(self) -> Lease:
        view = self._index.view
        return Lease(
            view.generation,
            self._name,
            view.bindings.version,
            view.versions,
            view.swapped_ms,
            self._listener.is_serving(self._generation),
        )

    def _report(self) -> None:
        """Report what the view holds: to the gauge, in the lease, and once in the process's log."""
        if self._schedule.is_empty:
            self._viewed = self._positions()
        if self._gauge.update(self._viewed):
            self._listener.view_complete(self._generation, self._gauge.asked_at)
        self._gauge.obstacle = self._index.disk.reason
        self._gauge.pending = "" if self._index.postings_ready else POSTINGS_PENDING
        if self._lease.is_due:
            self._lease.write(msgspec.structs.replace(self._own_lease(), at_ms=now_ms()))
        if self._gauge.caught_up and self._index.postings_ready and not self._ready:
            self._ready = self._answers_changed = True
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
        if now - self._ends_asked_at < self._ends_pause:
            return
        self._ends_asked_at = now
        try:
            ends = consumer.end_offsets([*self._deltas, self._bindings])
        except KafkaError as error:
            # The view gets older; the consumer goes on trying.
            log.warning("ends_unknown", error=repr(error))
            if now - self._answered_at > self._clients.timeout_seconds:
                self._clients.refuse_moved(consumer, self._bindings)
            return
        self._answered_at = time.monotonic()
        self._gauge.set_ends(now, {_name(tp): end for tp, end in ends.items()})


def _name(partition: TopicPartition) -> str:
    return f"{partition.topic}/{partition.partition}"


class PausedLogs:
    """The shards' logs that are not read while the disk is full."""

    def __init__(self, disk: FullDisk, room: int) -> None:
        """They are read on whenever the disk has `room` bytes left."""
        self._disk = disk
        self._room = room
        self._paused: dict[TopicPartition, DiskFull] = {}
        self._retry_at = math.inf

    def __contains__(self, partition: TopicPartition) -> bool:
        return partition in self._paused

    def pause(
        self, consumer: KafkaConsumer, partition: TopicPartition, offset: int, error: DiskFull
    ) -> None:
        """Stop reading a log at the record that could not be applied; it is read again."""
        self._disk.note(error)
        self._paused[partition] = error
        consumer.seek(partition, offset)
        consumer.pause(partition)
        self._retry_at = time.monotonic() + RETRY_SECONDS

    def retry(self, consumer: KafkaConsumer) -> None:
        """Read the logs on if it is time and there is room."""
        if time.monotonic() < self._retry_at:
            return
        folder = next(iter(self._paused.values())).folder
        if disk_space(folder).free < self._room:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            return
        self._retry_at = math.inf
        consumer.resume(*self._paused)

    def applied(self, partition: TopicPartition) -> None:
        """A record of a log was applied: the log is not paused any more."""
        if self._paused.pop(partition, None) is not None and not self._paused:
            self._disk.clear()
