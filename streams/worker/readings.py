"""A worker's readiness, and the metrics that are read when they are scraped."""

from collections.abc import Iterator

from kae.encoders.categories import POSITIONS
from kae.encoders.codebook.codebook import Codebook
from kae.sinks.shard import Shard
from kae.sinks.store.disk import disk_space, folder_bytes
from kae.sinks.terms.bindings import Bindings
from kae.streams.clock import now_ms
from kae.streams.control.state import ControlState
from kae.streams.kafka.lag import LagMonitor
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.unread_partitions import PartitionWatch
from kae.streams.telemetry import metrics
from kae.streams.telemetry.registry import MetricSample, accounting_samples
from kae.streams.topology.types import Topology
from kae.streams.worker.assignment import PartitionAssignment, WorkerIdentity
from kae.streams.worker.bindings import BindingsFollower
from kae.streams.worker.http import Readiness
from kae.streams.worker.ownership import OwnedShards
from kae.streams.worker.registrar import RegistrarService


class WorkerReadings:
    """For the HTTP server's threads; reads what other threads replace as a whole."""

    def __init__(
        self,
        topology: Topology,
        identity: WorkerIdentity,
        codebook: Codebook,
        clients: KafkaClients,
        assignment: PartitionAssignment,
        owned: OwnedShards,
        registrar: RegistrarService,
        bindings: BindingsFollower,
        lag: LagMonitor,
        partitions: PartitionWatch,
        control: ControlState,
    ) -> None:
        self._topology = topology
        self._identity = identity
        self._reserved = [len(codebook.reserved(position)) for position in range(POSITIONS)]
        self._clients = clients
        self._assignment = assignment
        self._owned = owned
        self._registrar = registrar
        self._bindings = bindings
        self._lag = lag
        self._partitions = partitions
        self._control = control

    def readiness(self) -> Readiness:
        if not self._assignment.is_known:
            return Readiness(False, ["the group has not assigned shards to it yet"])
        reasons = []
        missing = sorted(self._assignment.shards - set(self._owned.shards.copy()))
        unusable = self._owned.unusable.copy()
        reasons += [f"shard {shard}: {unusable[shard]}" for shard in missing if shard in unusable]
        if missing := [shard for shard in missing if shard not in unusable]:
            shards = ", ".join(map(str, missing))
            reasons.append(f"assigned and not held: shard {shards}; the log's shard_lost says why")
        stopped = [f"shard {n} has stopped: {why}" for n, why in self._owned.stopped().items()]
        if self._owned.disk.reason:
            reasons.append(self._owned.disk.reason)
        if self._assignment.has_terms and not self._registrar.is_open:
            reasons.append("assigned and not held: the terms; the log's registrar_lost says why")
        if self._registrar.stopped:
            stopped.append(f"the terms have stopped: {self._registrar.stopped}")
        # A shard that has stopped is held: the others need this worker as it is.
        return Readiness(not reasons, reasons + stopped)

    def samples(self) -> Iterator[MetricSample]:
        shards = self._owned.shards.copy()
        yield from self._worker(len(shards))
        for number, shard in sorted(shards.items()):
            yield from self._shard(number, shard)
            yield from self._lag_of(number, shard.next_offset)
            yield self._snapshot(number, shard)
        if self._registrar.is_open:
            yield from self._terms(self._bindings.view.bindings)

    def _worker(self, shards: int) -> Iterator[MetricSample]:
        topology, identity = self._topology, self._identity
        labels = (identity.name, str(topology.generation), identity.fingerprint)
        disk = disk_space(identity.data)
        yield MetricSample(metrics.WORKER_INFO, 1, labels)
        yield MetricSample(metrics.WORKER_READY, self.readiness().ready)
        yield MetricSample(metrics.WORKER_SHARDS, shards)
        yield MetricSample(metrics.WORKER_GENERATION_SHARDS, topology.shards)
        unread = self._partitions.unread
        yield MetricSample(
            metrics.WORKER_UNREAD_PARTITIONS, sum(one.found - one.read for one in unread)
        )
        yield MetricSample(metrics.WORKER_UNREAD_EVENTS, sum(one.events for one in unread))
        behaviours = self._partitions.behaviours
        yield MetricSample(metrics.WORKER_BEHAVIOURS, behaviours.taken)
        yield MetricSample(metrics.WORKER_BEHAVIOURS_HELD, behaviours.held)
        yield MetricSample(metrics.WORKER_LAG_LIMIT, topology.limits.lag_seconds)
        every = topology.snapshots.every_seconds if topology.snapshots.url else 0
        yield MetricSample(metrics.WORKER_SNAPSHOT_EVERY, every)
        yield MetricSample(metrics.WORKER_REGISTRAR, self._registrar.is_open)
        yield MetricSample(metrics.WORKER_TERMS_STOPPED, bool(self._registrar.stopped))
        yield MetricSample(metrics.WORKER_PRODUCERS_RENEWED, self._clients.producers_renewed)
        yield MetricSample(metrics.WORKER_DISK, disk.size)
        yield MetricSample(metrics.WORKER_DISK_FREE, disk.free)
        yield MetricSample(metrics.WORKER_DISK_FULL, bool(self._owned.disk.reason))

    def _shard(self, number: int, shard: Shard) -> Iterator[MetricSample]:
        labels = (str(number),)
        state = shard.store.state
        yield MetricSample(metrics.WORKER_EPOCH, shard.log.state.epoch, labels)
        yield MetricSample(metrics.WORKER_VERSION, state.version, labels)
        yield MetricSample(metrics.WORKER_BINDINGS_VERSION, state.source.bindings_version, labels)
        yield MetricSample(metrics.WORKER_LIVE, state.live, labels)
        yield MetricSample(metrics.WORKER_NEXT_OFFSET, state.source.next_offset, labels)
        yield MetricSample(metrics.WORKER_PAUSED, state.source.paused, labels)
        yield MetricSample(metrics.WORKER_STOPPED, bool(state.source.stopped), labels)
        yield MetricSample(metrics.WORKER_POSTINGS_WAITING, shard.selector_index.pending, labels)
        yield MetricSample(metrics.WORKER_POSTINGS, shard.selector_index.bytes, labels)
        yield MetricSample(metrics.WORKER_STORE, folder_bytes(shard.folder), labels)
        yield from accounting_samples(
            metrics.WORKER_READ,
            metrics.WORKER_EVENTS,
            metrics.WORKER_UNBALANCED,
            state.counts,
            *labels,
        )

    def _lag_of(self, number: int, position: int) -> Iterator[MetricSample]:
        lag = self._lag.lags.get(number)
        if lag is None:
            return
        labels = (str(number),)
        end = max(lag.end, position)
        yield MetricSample(metrics.WORKER_HIGHWATER, end, labels)
        yield MetricSample(metrics.WORKER_LAG_EVENTS, end - position, labels)
        yield MetricSample(metrics.WORKER_LAG_SECONDS, lag.seconds(position, now_ms()), labels)

    def _snapshot(self, number: int, shard: Shard) -> MetricSample:
        newest, age = self._control.snapshots.get(number), -1.0
        if newest is not None:
            unchanged = newest.version == shard.store.state.version
            age = 0.0 if unchanged else max(0, now_ms() - newest.at_ms) / 1000
        return MetricSample(metrics.WORKER_SNAPSHOT_AGE, age, (str(number),))

    def _terms(self, bindings: Bindings) -> Iterator[MetricSample]:
        yield from accounting_samples(
            metrics.WORKER_TERMS_READ,
            metrics.WORKER_TERMS,
            metrics.WORKER_TERMS_UNBALANCED,
            bindings.counts,
        )
        occupied = bindings.occupied()
        for position, reserved in enumerate(self._reserved):
            taken = sum(slot.position == position for slot in occupied)
            labels = (str(position),)
            yield MetricSample(metrics.WORKER_SLOTS, reserved, labels)
            yield MetricSample(metrics.WORKER_SLOTS_FREE, reserved - taken, labels)
