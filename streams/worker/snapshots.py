"""Snapshots of the shards that a worker owns, taken while it goes on indexing.

The shard thread makes a checkpoint, which takes milliseconds. Another thread uploads one checkpoint
after the other, prunes the archive, and announces the result on the control topic. A snapshot is
the fold of a prefix of a log, so it is valid even if another worker owns the shard by then.
"""

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import structlog

from kae.sinks.snapshots.archive import Archive, ArchiveUnreachable
from kae.sinks.snapshots.manifest import SnapshotBroken, SnapshotFile, SnapshotOrigin
from kae.sinks.snapshots.prune import plan_prune, prune
from kae.sinks.snapshots.take import TakenSnapshot, take_snapshot
from kae.sinks.store.disk import DiskFull, require_space
from kae.sinks.store.state import StoreState
from kae.sinks.store.store import ShardStore
from kae.streams.clock import now_ms
from kae.streams.control import records
from kae.streams.control.records import Snapshotted
from kae.streams.control.state import ControlState
from kae.streams.kafka.log import BROKER_AWAY, KafkaClients
from kae.streams.runtime import failpoints
from kae.streams.snapshots.archives import log_name
from kae.streams.telemetry import metrics
from kae.streams.topology.types import Topology
from kae.streams.worker.assignment import WorkerIdentity
from kae.streams.worker.meters import WorkerMeters
from kae.streams.worker.ownership import OwnedShards, ShardWorkResult

log = structlog.get_logger()
# When a snapshot that failed is tried again, at the latest.
RETRY_SECONDS = 60.0


class UploadStopped(Exception):
    """The worker shuts down; the next snapshot makes use of the files sent so far."""


class WorkerSnapshots:
    """Takes snapshots when they are due or requested.

    `begin` and `begin_due` are for the shard thread, the rest for any.
    """

    def __init__(
        self,
        topology: Topology,
        identity: WorkerIdentity,
        clients: KafkaClients,
        owned: OwnedShards,
        control: ControlState,
        meters: WorkerMeters,
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._topology = topology
        self._identity = identity
        self._owned = owned
        self._control = control
        self._meters = meters
        self._on_error = on_error
        self._control_log = clients.log(topology.control_topic, 0)
        self._checkpoints = identity.data / "checkpoints"
        self._uploads = ThreadPoolExecutor(1, thread_name_prefix="snapshots")
        self._stopping = threading.Event()
        self._under_way: set[int] = set()
        self._requested: set[int] = set()  # while one was under way
        self._tried_ms: dict[int, int] = {}
        self._trusted: dict[int, set[str]] = {}  # by shard: blobs that were read back

    def start(self) -> None:
        """Remove the checkpoints of a worker that was killed."""
        shutil.rmtree(self._checkpoints, ignore_errors=True)

    def stop(self) -> None:
        """Stop the upload that is under way, after the file that is being sent."""
        self._stopping.set()
        self._uploads.shutdown(wait=True, cancel_futures=True)

    def refusal(self, shard: int) -> str:
        """Why no snapshot of a shard can be taken, with the remedy; empty if one can."""
        if self._topology.snapshots.url is None:
            return (
                f"shard {shard}: snapshots.url is null in the topology.yaml of its worker "
                f"{self._identity.name}; name a folder, s3:// or gs:// there and start it again"
            )
        return ""

    def is_due(self) -> bool:
        """Whether some shard should have a newer snapshot by now."""
        return bool(self._due(now_ms()))

    def begin_due(self) -> ShardWorkResult:
        for shard in self._due(now_ms()):
            self.begin(shard)
        return ShardWorkResult()

    def begin(self, shard: int) -> None:
        """Make a checkpoint and have it uploaded; if one is under way, after that."""
        self._requested.discard(shard)
        if shard in self._under_way:
            self._requested.add(shard)
            return
        store = self._owned.shards[shard].store
        checkpoint = self._checkpoints / f"shard-{shard:04d}-{store.state.version}"
        self._tried_ms[shard] = now_ms()
        try:
            require_space(self._identity.data, self._topology.stores.write_buffer_bytes)
            store.checkpoint(checkpoint)
        except DiskFull as error:
            self._conclude(shard, store.state, checkpoint, None, str(error))
            return
        self._under_way.add(shard)
        uploading = self._uploads.submit(self._upload, shard, checkpoint, store.state)
        uploading.add_done_callback(lambda done: self._done(shard, checkpoint, done))

    def _due(self, now: int) -> list[int]:
        if self._topology.snapshots.url is None or self._stopping.is_set():
            return []
        return [
            number
            for number, shard in self._owned.shards.copy().items()
            if number not in self._under_way
            and (number in self._requested or self._is_late(number, shard.store.state.version, now))
        ]

    def _is_late(self, shard: int, version: int, now: int) -> bool:
        every = self._topology.snapshots.every_seconds
        if now - self._tried_ms.get(shard, 0) < min(every, RETRY_SECONDS) * 1000:
            return False
        newest = self._control.snapshots.get(shard)
        if newest is None:
            return version > 0
        return version != newest.version and now - newest.at_ms >= every * 1000

    # On the thread that uploads.

    def _upload(self, shard: int, checkpoint: Path, state: StoreState) -> None:
        url = self._topology.snapshots.url or ""
        name = log_name(self._topology, shard)
        taken, failed = None, ""
        try:
            # No snapshot of a damaged store: StoreDamaged goes to `on_error`, the worker ends, and
            # its next start begins with another.
            with closing(ShardStore(checkpoint, read_only=True)) as store:
                store.check()
            archive = Archive.open(url, name)
            origin = SnapshotOrigin(
                name, self._topology.generation, shard, self._identity.name, now_ms()
            )
            taken = take_snapshot(archive, checkpoint, state, origin, self._sent)
            self._prune(archive, shard, taken)
        except (ArchiveUnreachable, SnapshotBroken, OSError) as error:
            failed = str(error)
        self._conclude(shard, state, checkpoint, taken, failed)

    def _sent(self, file: SnapshotFile) -> None:
        self._meters.count(metrics.WORKER_SNAPSHOT_SENT, by=file.bytes)
        failpoints.reach(failpoints.SNAPSHOT_SENT)
        if self._stopping.is_set():
            raise UploadStopped

    def _prune(self, archive: Archive, shard: int, taken: TakenSnapshot) -> None:
        """Read back what was sent, and delete superseded snapshots."""
        part = self._topology.snapshots
        trusted = self._trusted.get(shard, set()) - taken.sent
        pruning = plan_prune(archive, part.keep, int(part.grace_seconds * 1000), now_ms(), trusted)
        prune(archive, pruning)
        self._trusted[shard] = {
            file.blake2b for manifest in pruning.keep.values() for file in manifest.files
        }
        for name, reasons in pruning.broken.items():
            log.warning("snapshot_broken", shard=shard, manifest=name, causes=reasons)
        if taken.name in pruning.broken:
            raise SnapshotBroken("; ".join(pruning.broken[taken.name]))

    def _conclude(
        self,
        shard: int,
        state: StoreState,
        checkpoint: Path,
        taken: TakenSnapshot | None,
        failed: str,
    ) -> None:
        """Count, log and announce that a snapshot was taken or failed."""
        result = Snapshotted(
            self._topology.generation,
            shard,
            state.version,
            state.offset,
            "" if taken is None else taken.name,
            0 if taken is None else taken.manifest.bytes,
            0 if taken is None else taken.sent_bytes,
            failed,
            self._identity.name,
            now_ms(),
        )
        if failed:
            self._meters.count(metrics.WORKER_SNAPSHOTS_FAILED)
            log.warning("snapshot_failed", shard=shard, version=state.version, cause=failed)
        else:
            self._meters.count(metrics.WORKER_SNAPSHOTS)
            log.info(
                "snapshot_taken",
                shard=shard,
                version=state.version,
                manifest=result.manifest,
                bytes=result.bytes,
                sent_bytes=result.sent_bytes,
            )
        failpoints.reach(failpoints.SNAPSHOT_TAKEN)
        shutil.rmtree(checkpoint, ignore_errors=True)
        try:
            self._control_log.append([records.encode_control_record(result)]).offsets()
        except BROKER_AWAY as error:
            # It is in the archive nevertheless, where `kae snapshot list` finds it.
            log.warning("snapshot_not_announced", shard=shard, error=repr(error))

    def _done(self, shard: int, checkpoint: Path, uploading: "Future[None]") -> None:
        self._under_way.discard(shard)
        error = None if uploading.cancelled() else uploading.exception()
        if error is not None or uploading.cancelled():
            shutil.rmtree(checkpoint, ignore_errors=True)
        if error is not None and not isinstance(error, UploadStopped):
            self._on_error(error)
