"""The shards that a worker owns: opened, appended to, applied, folded again, given up."""

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field

import msgspec
import structlog

from kae.sinks.log.ownership import Fenced, UnappliedDelta
from kae.sinks.log.protocol import AppendUnknown, LogTruncated
from kae.sinks.shard import Shard
from kae.sinks.store import keys
from kae.sinks.store.disk import DiskFull, require_space
from kae.sinks.store.recovery import SnapshotSource, discard, no_snapshots
from kae.sinks.store.rocks import StoreDamaged, StoreUnusable
from kae.streams.clock import now_ms
from kae.streams.control.records import Reached
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.source import SourcePosition
from kae.streams.runtime import failpoints
from kae.streams.runtime.folders import FullDisk
from kae.streams.snapshots.archives import shard_snapshots
from kae.streams.telemetry.traces import NOTHING, Spans
from kae.streams.topology.types import Topology
from kae.streams.worker.assignment import WorkerIdentity
from kae.streams.worker.meters import APPEND_WAIT, APPLY, LossCause, WorkerMeters

log = structlog.get_logger()
# How long a log that lacks what its shard needs is left alone: to look takes seconds, in which the
# other shards wait.
LOG_RETRY_SECONDS = 60.0
# Items that are added to a selector index at once: some 4 ms of work.
INDEX_ITEMS = 256
# Why an append gives a shard up: its log, not this worker, decides what it holds.
LOSSES = (Fenced, AppendUnknown, DiskFull, StoreUnusable, LogTruncated)


@dataclass(slots=True)
class ShardWorkResult:
    """What the consumer has to do after work on shards: where to seek, and which shards are lost.

    Both are by shard; `lost` says why. Shards that have `stopped` are not fetched any more.
    """

    seek: dict[int, int] = field(default_factory=dict)
    lost: dict[int, str] = field(default_factory=dict)
    stopped: set[int] = field(default_factory=set)

    def and_then(self, other: "ShardWorkResult") -> "ShardWorkResult":
        return ShardWorkResult(
            self.seek | other.seek, self.lost | other.lost, self.stopped | other.stopped
        )


class OwnedShards:
    """The open shards, and of each the delta that is appended and not applied yet.

    The shard thread alone changes them, so they need no locks; other threads read copies.
    """

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
        # By shard, why its store is refused by the system or lacks a log that leads to it; an entry
        # is replaced as a whole.
        self.unusable: dict[int, str] = {}
        self._log_retry_at: dict[int, float] = {}
        self._unapplied: dict[int, tuple[UnappliedDelta, Spans]] = {}

    # For any thread.

    def positions(self) -> dict[int, int]:
        """The next items offset of each open shard."""
        return {partition: shard.next_offset for partition, shard in self.shards.copy().items()}

    def held(self) -> set[int]:
        """The open shards that index no items until they are resumed or reset."""
        return {number for number, shard in self.shards.copy().items() if not shard.source.reads}

    def source_positions(self) -> dict[int, SourcePosition]:
        """Where each open shard stands in the items topic, unless it has stopped."""
        return {
            number: SourcePosition(shard.next_offset, shard.topic)
            for number, shard in self.shards.copy().items()
            if not shard.source.stopped
        }

    def stopped(self) -> dict[int, str]:
        """The open shards that have stopped, and why."""
        shards = sorted(self.shards.copy().items())
        return {n: shard.source.stopped for n, shard in shards if shard.source.stopped}

    @property
    def has_unindexed_items(self) -> bool:
        """Whether some items are not in the selector index of their shard yet."""
        return any(shard.selector_index.pending for shard in self.shards.copy().values())

    # Append first, apply second.

    def next_offset(self, partition: int) -> int | None:
        """The first record that is neither applied nor appended; None if the shard reads none."""
        shard = self.shards.get(partition)
        if shard is None or not shard.source.reads:
            return None
        if partition in self._unapplied:
            delta, _ = self._unapplied[partition]
            return delta.source.next_offset
        return shard.next_offset

    def note_appended(self, partition: int, delta: UnappliedDelta, spans: Spans = NOTHING) -> None:
        """Keep a delta that was appended to the shard's log until `apply_appended`."""
        self._unapplied[partition] = delta, spans
        self._meters.count_appended(partition, delta)

    def when_acknowledged(self, call: Callable[[], object]) -> None:
        """Have `call` called, by any thread, when `apply_appended` need not wait for a broker."""
        appends = [delta.appending for delta, _ in self._unapplied.values()]
        left = itertools.count(len(appends) - 1, -1)

        def count() -> None:
            if next(left) == 0:
                call()

        for appending in appends:
            appending.on_done(count)

    def apply_appended(self) -> ShardWorkResult:
        """Wait for what was appended and apply it; a shard whose append is in doubt is given up."""
        unapplied, self._unapplied = self._unapplied, {}
        result = ShardWorkResult()
        for partition, (delta, spans) in unapplied.items():
            try:
                with self._meters.stage(APPEND_WAIT):
                    delta.wait()
                failpoints.reach(failpoints.ACKNOWLEDGED)
                with self._meters.stage(APPLY):
                    delta.apply()
            except LOSSES as error:
                spans.fail(error)
                result = result.and_then(self.give_up(partition, error))
            else:
                spans.end(**{"kae.shard": partition, "kae.version": delta.version})
        if unapplied:
            failpoints.reach(failpoints.APPLIED)
        return result

    def index_for_selectors(self) -> ShardWorkResult:
        """Use a moment to add items to the selector index that lacks most of them."""
        if not self.shards:
            return ShardWorkResult()
        pending = {number: one.selector_index.pending for number, one in self.shards.items()}
        partition = max(pending, key=pending.__getitem__)
        try:
            self.shards[partition].selector_index.refresh(INDEX_ITEMS)
        except StoreUnusable as error:
            return self.give_up(partition, error)
        return ShardWorkResult()

    def move_on(self, empty_ends: Mapping[int, range]) -> ShardWorkResult:
        """Move shards that stand before offsets without an event past them.

        Else retention, which takes markers of transactions too, would leave a shard before the
        first offset that there is.
        """
        result = self.apply_appended()
        for partition, offsets in empty_ends.items():
            shard = self.shards.get(partition)
            if shard is not None and self.next_offset(partition) == offsets.start:
                source = msgspec.structs.replace(shard.source, next_offset=offsets.stop)
                self.note_appended(partition, shard.append_source(source, now_ms()))
        return result.and_then(self.apply_appended())

    # Everything that was appended has to be applied before these are called.

    def own(self, wanted: Set[int]) -> ShardWorkResult:
        """Own exactly these shards: close the others, open and claim those that are new.

        A shard without room on the disk, whose store the system refuses, or whose log has lost what
        it needs, is lost; the others are not.
        Raises: AppendUnknown when a claim is not acknowledged; what is open by then stays open.
        """
        for partition in self.shards.keys() - wanted:
            self.shards.pop(partition).close()
            log.info("shard_closed", shard=partition)
        for partition in self.unusable.keys() - wanted:
            del self.unusable[partition]
            self._log_retry_at.pop(partition, None)
        result = ShardWorkResult()
        full = False
        for partition in sorted(wanted - self.shards.keys()):
            if time.monotonic() < self._log_retry_at.get(partition, 0.0):
                result.lost[partition] = self.unusable[partition]
                continue
            try:
                self._open(partition, self._snapshots(partition))
            except DiskFull as error:
                self.disk.note(error)
                full = True
                result.lost[partition] = str(error)
            except StoreUnusable as error:
                self._note_unusable(partition, error)
                result.lost[partition] = str(error)
            except LogTruncated as error:
                result = result.and_then(self._lost(partition, error))
                self._log_retry_at[partition] = time.monotonic() + LOG_RETRY_SECONDS
        if not full:
            self.disk.clear()
        return result

    def refold(self, partition: int) -> ShardWorkResult:
        """Delete a shard's store and fold it again from its log, in a new epoch.

        Without room on the disk, if the system refuses its store, or if its log has lost what it
        needs, it is lost.
        Raises: AppendUnknown; the shard is closed then.
        """
        shard = self.shards.pop(partition)
        shard.close()
        try:
            discard(shard.folder)
            # From the log alone: a refold is asked for when stores, and so snapshots, are in doubt.
            self._open(partition, no_snapshots)
        except (DiskFull, StoreUnusable, LogTruncated) as error:
            return self._lost(partition, error)
        return ShardWorkResult()

    def reached(self, partition: int, planned: Iterable[int]) -> Reached:
        """The record that announces a shard's state; it counts the items of `planned` bindings."""
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

    def close(self) -> None:
        """Apply what was appended, and close every shard."""
        self.apply_appended()
        self.own(frozenset())

    def give_up(self, partition: int, cause: LossCause) -> ShardWorkResult:
        """Close a shard whose append or store is in doubt; it is opened again from its log."""
        # First the reason, then the removal: other threads that miss the shard ask for the reason.
        lost = self._lost(partition, cause)
        if partition in self._unapplied:
            _, spans = self._unapplied.pop(partition)
            spans.fail(cause)
        self.shards.pop(partition).close()
        return lost

    def _note_unusable(self, partition: int, error: StoreUnusable) -> None:
        """Log once, not at each attempt to claim the shard, that its store cannot be used."""
        if self.unusable.get(partition) != str(error):
            log.error("store_unusable", shard=partition, cause=str(error))
        self.unusable[partition] = str(error)

    def _lost(self, partition: int, cause: LossCause) -> ShardWorkResult:
        result = ShardWorkResult(lost={partition: str(cause)})
        if isinstance(cause, LogTruncated):
            if self.unusable.get(partition) == str(cause):
                return result  # it was told when the shard was claimed the last time
            self.unusable[partition] = str(cause)
        self._meters.count_lost(cause)
        if isinstance(cause, DiskFull):
            self.disk.note(cause)
        elif isinstance(cause, StoreUnusable) and not isinstance(cause, StoreDamaged):
            self._note_unusable(partition, cause)
        log.warning("shard_lost", shard=partition, cause=str(cause))
        return result

    def _snapshots(self, partition: int) -> SnapshotSource:
        return shard_snapshots(self._topology, partition, self._identity.fingerprint)

    def _open(self, partition: int, snapshots: SnapshotSource) -> None:
        topology = self._topology
        # Before the claim, or each attempt would leave a record in the log.
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
        self._log_retry_at.pop(partition, None)
        if self.unusable.pop(partition, None):
            log.info("store_usable", shard=partition)
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
