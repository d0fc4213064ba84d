"""A worker's snapshots: taken of the shards that it holds, while they go on.

The shard thread lays a checkpoint, a matter of milliseconds; one other thread uploads, one shard
after the other, prunes, and says on the control topic what came of it. A snapshot is a prefix of a
log that was folded, so it stays one whoever owns the shard by the time that it is uploaded.
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
from kae.streams.worker.meters import WorkerMeters
from kae.streams.worker.ownership import OwnedShards, ShardWorkResult, WorkerIdentity

log = structlog.get_logger()
# After a failure, at the latest.
RETRY_SECONDS = 60.0


class UploadStopped(Exception):
    """The worker ends; what was sent so far is of use to the next snapshot."""


class SnapshotSchedule:
    """`begin` and `begin_due` are for the shard thread, the rest for any."""

    def __init__(
        self,
        topology: Topology,
        identity: WorkerIdentity,
        clients: KafkaClients,
        held: OwnedShards,
        control_state: ControlState,
        meters: WorkerMeters,
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._topology = topology
        self._identity = identity
        self._held = held
        self._control_state = control_state
        self._meters = meters
        self._on_error = on_error
        self._control = clients.log(topology.control_topic, 0)
        self._checkpoints = identity.data / "checkpoints"
        self._uploads = ThreadPoolExecutor(1, thread_name_prefix="snapshots")
        self._stopping = threading.Event()
        self._under_way: set[int] = set()
        self._wanted: set[int] = set()  # asked for while one was under way
        self._tried_ms: dict[int, int] = {}
        self._trusted: dict[int, set[str]] = {}  # by shard: blobs that were read since they came

    def start(self) -> None:
        """Remove what a worker that was killed has left."""
        shutil.rmtree(self._checkpoints, ignore_errors=True)

    def stop(self) -> None:
        """Give up what is under way, after the file that is being sent."""
        self._stopping.set()
        self._uploads.shutdown(wait=True, cancel_futures=True)

    def why_not(self, shard: int) -> str:
        """Why no snapshot of a shard can be taken, with the remedy; empty if it can."""
        if self._topology.snapshots.url is None:
            return (
                f"shard {shard}: snapshots.url is null in the topology.yaml of its worker "
                f"{self._identity.name}; name a folder, s3:// or gs:// there and start it again"
            )
        return ""

    def is_due(self) -> bool:
        """Whether a shard should have a snapshot by now."""
        return bool(self._due(now_ms()))

    def begin_due(self) -> ShardWorkResult:
        for shard in self._due(now_ms()):
            self.begin(shard)
        return ShardWorkResult()

    def begin(self, shard: int) -> None:
        """Lay a checkpoint and have it uploaded; if one is under way, after that."""
        self._wanted.discard(shard)
        if shard in self._under_way:
            self._wanted.add(shard)
            return
        store = self._held.shards[shard].store
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
        shards = self._held.shards.copy()
        return [
            shard
            for shard, held in shards.items()
            if shard not in self._under_way
            and (shard in self._wanted or self._is_late(shard, held.store.state.version, now))
        ]

    def _is_late(self, shard: int, version: int, now: int) -> bool:
        every = self._topology.snapshots.every_seconds
        if now - self._tried_ms.get(shard, 0) < min(every, RETRY_SECONDS) * 1000:
            return False
        newest = self._control_state.snapshots.get(shard)
        if newest is None:
            return version > 0
        return version != newest.version and now - newest.at_ms >= every * 1000

    # On the thread that uploads.

    def _upload(self, shard: int, checkpoint: Path, state: StoreState) -> None:
        url = self._topology.snapshots.url or ""
        name = log_name(self._topology, shard)
        taken, failed = None, ""
        try:
            # What is damaged would be a whole snapshot of a damaged store: the worker ends instead,
            # and begins with another (StoreDamaged goes to `on_error`).
            with closing(ShardStore(checkpoint, read_only=True)) as laid:
                laid.check()
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
        """Read back what was sent, and drop what is superseded."""
        part = self._topology.snapshots
        trusted = self._trusted.get(shard, set()) - taken.sent
        planned = plan_prune(archive, part.keep, int(part.grace_seconds * 1000), now_ms(), trusted)
        prune(archive, planned)
        self._trusted[shard] = {
            file.blake2b for manifest in planned.keep.values() for file in manifest.files
        }
        for name, reasons in planned.broken.items():
            log.warning("snapshot_broken", shard=shard, manifest=name, causes=reasons)
        if taken.name in planned.broken:
            raise SnapshotBroken("; ".join(planned.broken[taken.name]))

    def _conclude(
        self,
        shard: int,
        state: StoreState,
        checkpoint: Path,
        taken: TakenSnapshot | None,
        failed: str,
    ) -> None:
        """Count, log and announce what came of a snapshot."""
        told = Snapshotted(
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
                manifest=told.manifest,
                bytes=told.bytes,
                sent_bytes=told.sent_bytes,
            )
        failpoints.reach(failpoints.SNAPSHOT_TAKEN)
        shutil.rmtree(checkpoint, ignore_errors=True)
        try:
            self._control.append([records.encode_control_record(told)]).offsets()
        except BROKER_AWAY as error:
            # It is in the archive all the same, and `kae snapshot list` shows it.
            log.warning("snapshot_not_announced", shard=shard, error=repr(error))

    def _done(self, shard: int, checkpoint: Path, uploading: "Future[None]") -> None:
        self._under_way.discard(shard)
        error = None if uploading.cancelled() else uploading.exception()
        if error is not None or uploading.cancelled():
            shutil.rmtree(checkpoint, ignore_errors=True)
        if error is not None and not isinstance(error, UploadStopped):
            self._on_error(error)
