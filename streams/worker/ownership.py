"""Who a worker is.

What work on shards came to, for whoever has to follow it up.

What the group has assigned to a worker: shards, and perhaps the terms.

The shards that a worker holds: opened and claimed, folded again, given up.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from faust.types import TP

from kae.sinks.log.ownership import Fenced
from kae.sinks.log.protocol import AppendUnknown
from kae.sinks.shard import Shard
from kae.sinks.store import keys
from kae.sinks.store.disk import DiskFull, remove_atomically, require_space
from kae.sinks.store.recovery import SnapshotSource, no_snapshots
from kae.streams.control.records import Reached
from kae.streams.kafka.log import KafkaClients
from kae.streams.runtime import failpoints
from kae.streams.runtime.folders import FullDisk
from kae.streams.snapshots.archives import shard_snapshots
from kae.streams.topology.types import Topology
from kae.streams.worker.meters import WorkerMeters


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """Which worker this is, and with which codebook it encodes."""

    name: str
    fingerprint: str
    data: Path


@dataclass(slots=True)
class ShardWorkResult:
    """Where to seek back to, and which shards are no longer this worker's, by shard."""

    seek: dict[int, int] = field(default_factory=dict)
    lost: dict[int, str] = field(default_factory=dict)

    def and_then(self, other: "ShardWorkResult") -> "ShardWorkResult":
        return ShardWorkResult(self.seek | other.seek, self.lost | other.lost)


class PartitionAssignment:
    """Replaced as a whole by the event loop; read by any thread."""

    def __init__(self, topology: Topology) -> None:
        self._items_topic = topology.items_topic
        self._terms = TP(topology.terms_topic, 0)
        self._assigned: frozenset[TP] | None = None

    def replace(self, assigned: Iterable[TP]) -> None:
        self._assigned = frozenset(assigned)

    @property
    def is_known(self) -> bool:
        """Whether the group has assigned anything yet, be it nothing."""
        return self._assigned is not None

    @property
    def shards(self) -> set[int]:
        return {tp.partition for tp in self._assigned or () if tp.topic == self._items_topic}

    @property
    def has_terms(self) -> bool:
        return self._terms in (self._assigned or ())


log = structlog.get_logger()


class OwnedShards:
    """Changed by the shard thread; other threads take a copy of `shards`."""

    def __init__(
        self,
        topology: Topology,
        identity: WorkerIdentity,
        clients: KafkaClients,
        meters: WorkerMeters,
    ) -> None:
        self._topology = topology
        self._identity = identity
        self._clients = clients
        self._meters = meters
        self.disk = FullDisk()
        self.shards: dict[int, Shard] = {}

    def positions(self) -> dict[int, int]:
        """The items offset that each open shard goes on at."""
        return {partition: shard.next_offset for partition, shard in self.shards.copy().items()}

    def paused(self) -> set[int]:
        """The open shards that index no items until they are resumed."""
        return {number for number, shard in self.shards.copy().items() if shard.source.paused}

    def reached(self, partition: int, planned: Iterable[int]) -> Reached:
        """What the control topic is told of an open shard, some bindings with a plan included."""
        shard = self.shards[partition]
        attached = shard.store.attached
        return Reached(
            self._topology.generation,
            partition,
            shard.source.bindings_version,
            shard.log.state.epoch,
            self._identity.name,
            tuple((binding, len(attached[binding])) for binding in planned if binding in attached),
        )

    # Nothing may be in flight while these are called.

    def own(self, wanted: Set[int]) -> ShardWorkResult:
        """Hold exactly these shards: close those that went, open and claim those that came.

        Those that find no room on the disk are among the lost.
        Raises: AppendUnknown when a claim is not acknowledged; what is held by then stays held.
        """
        for partition in self.shards.keys() - wanted:
            self.shards.pop(partition).close()
            log.info("shard_closed", shard=partition)
        without_room = ShardWorkResult()
        for partition in sorted(wanted - self.shards.keys()):
            try:
                self._open(partition, self._snapshots(partition))
            except DiskFull as error:
                self.disk.note(error)
                without_room.lost[partition] = str(error)
        if not without_room.lost:
            self.disk.over()
        return without_room

    def refold(self, partition: int) -> ShardWorkResult:
        """Delete a shard's store and fold it again from its log, under a new epoch.

        Without room on the disk it is lost.
        Raises: AppendUnknown; the shard is not held then.
        """
        shard = self.shards.pop(partition)
        shard.close()
        remove_atomically(shard.folder)
        try:
            # From its log alone: a snapshot is a copy of a store, and stores are not trusted here.
            self._open(partition, no_snapshots)
        except DiskFull as error:
            return self._lost(partition, error)
        return ShardWorkResult()

    def give_up(self, partition: int, cause: Fenced | AppendUnknown | DiskFull) -> ShardWorkResult:
        """Close a shard of which an append or its store is in doubt; it is opened from its log."""
        # Told before it is gone: who sees that it is gone may ask why.
        lost = self._lost(partition, cause)
        self.shards.pop(partition).close()
        return lost

    def _lost(self, partition: int, cause: Fenced | AppendUnknown | DiskFull) -> ShardWorkResult:
        self._meters.note_lost(cause)
        if isinstance(cause, DiskFull):
            self.disk.note(cause)
        log.warning("shard_lost", shard=partition, cause=str(cause))
        return ShardWorkResult(lost={partition: str(cause)})

    def _snapshots(self, partition: int) -> SnapshotSource:
        return shard_snapshots(self._topology, partition, self._identity.fingerprint)

    def _open(self, partition: int, snapshots: SnapshotSource) -> None:
        topology = self._topology
        # Before the claim: each would be a record of the log.
        require_space(self._identity.data, topology.stores.write_buffer_bytes)
        shard = Shard(
            keys.shard_folder(self._identity.data, topology.generation, partition),
            self._clients.log(topology.deltas_topic, partition),
            owner=self._identity.name,
            fingerprint=self._identity.fingerprint,
            max_bytes=topology.limits.delta_bytes,
            write_buffer_bytes=topology.stores.write_buffer_bytes,
            sync_writes=topology.stores.sync_writes,
            on_claim=lambda: failpoints.reach(failpoints.REBALANCING),
            snapshots=snapshots,
        )
        self.shards[partition] = shard
        state = shard.store.state
        for cause in shard.rejected:
            log.warning("store_passed_over", shard=partition, cause=cause)
        if shard.restored_from:
            log.info("snapshot_begun_with", shard=partition, snapshot=shard.restored_from)
        log.info(
            "shard_owned",
            shard=partition,
            epoch=shard.log.state.epoch,
            version=state.version,
            next_offset=state.source.next_offset,
        )
