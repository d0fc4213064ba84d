"""The shards that a worker holds: opened and claimed, folded again, given up."""

from collections.abc import Iterable, Set

import structlog

from kae.sinks import keys
from kae.sinks.beginnings import Snapshots, no_snapshots
from kae.sinks.disk import DiskFull, remove_whole, require_room
from kae.sinks.log import AppendUnknown
from kae.sinks.owned import Fenced
from kae.sinks.shard import Shard
from kae.streams import failpoints
from kae.streams.control import Reached
from kae.streams.full_disk import FullDisk
from kae.streams.identity import Identity
from kae.streams.kafka_log import KafkaClients
from kae.streams.outcome import Outcome
from kae.streams.snapshots.archives import snapshots_of
from kae.streams.topology import Topology
from kae.streams.worker_meters import WorkerMeters

log = structlog.get_logger()


class HeldShards:
    """Changed by the shard thread; other threads take a copy of `shards`."""

    def __init__(
        self,
        topology: Topology,
        identity: Identity,
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

    def own(self, wanted: Set[int]) -> Outcome:
        """Hold exactly these shards: close those that went, open and claim those that came.

        Those that find no room on the disk are among the lost.
        Raises: AppendUnknown when a claim is not acknowledged; what is held by then stays held.
        """
        for partition in self.shards.keys() - wanted:
            self.shards.pop(partition).close()
            log.info("shard_closed", shard=partition)
        without_room = Outcome()
        for partition in sorted(wanted - self.shards.keys()):
            try:
                self._open(partition, self._snapshots(partition))
            except DiskFull as error:
                self.disk.note(error)
                without_room.lost[partition] = str(error)
        if not without_room.lost:
            self.disk.over()
        return without_room

    def refold(self, partition: int) -> Outcome:
        """Delete a shard's store and fold it again from its log, under a new epoch.

        Without room on the disk it is lost.
        Raises: AppendUnknown; the shard is not held then.
        """
        shard = self.shards.pop(partition)
        shard.close()
        remove_whole(shard.folder)
        try:
            # From its log alone: a snapshot is a copy of a store, and stores are not trusted here.
            self._open(partition, no_snapshots)
        except DiskFull as error:
            return self._lost(partition, error)
        return Outcome()

    def give_up(self, partition: int, cause: Fenced | AppendUnknown | DiskFull) -> Outcome:
        """Close a shard of which an append or its store is in doubt; it is opened from its log."""
        # Told before it is gone: who sees that it is gone may ask why.
        lost = self._lost(partition, cause)
        self.shards.pop(partition).close()
        return lost

    def _lost(self, partition: int, cause: Fenced | AppendUnknown | DiskFull) -> Outcome:
        self._meters.note_lost(cause)
        if isinstance(cause, DiskFull):
            self.disk.note(cause)
        log.warning("shard_lost", shard=partition, cause=str(cause))
        return Outcome(lost={partition: str(cause)})

    def _snapshots(self, partition: int) -> Snapshots:
        return snapshots_of(self._topology, partition, self._identity.fingerprint)

    def _open(self, partition: int, snapshots: Snapshots) -> None:
        topology = self._topology
        # Before the claim: each would be a record of the log.
        require_room(self._identity.data, topology.stores.write_buffer_bytes)
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
        for cause in shard.passed_over:
            log.warning("store_passed_over", shard=partition, cause=cause)
        if shard.begun_with:
            log.info("snapshot_begun_with", shard=partition, snapshot=shard.begun_with)
        log.info(
            "shard_owned",
            shard=partition,
            epoch=shard.log.state.epoch,
            version=state.version,
            next_offset=state.source.next_offset,
        )
