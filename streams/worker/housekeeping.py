"""What a worker does and checks every second or so."""

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog
from faust.types import TP

from kae.sinks.log.protocol import LogTruncated
from kae.streams.kafka.log import KafkaClients
from kae.streams.telemetry import metrics
from kae.streams.telemetry.registry import MetricRegistry
from kae.streams.topology.types import Topology
from kae.streams.worker.faust_app import App, Positions, StoreConsumer
from kae.streams.worker.rebalance import PartitionOwnership
from kae.streams.worker.registrar import RegistrarService
from kae.streams.worker.shutdown import Shutdown
from kae.streams.worker.snapshots import WorkerSnapshots
from kae.streams.worker.sources import SourceCheck
from kae.streams.worker.threads import WorkerThreads
from kae.streams.worker.watchdog import Stalled, Watchdog, WorkProgress

log = structlog.get_logger()
EVERY_SECONDS = 1.0
# A binding that waits for shards or for a time waits at most this much longer.
DUE_SECONDS = 0.05
STALL_PATIENCE_SECONDS = 10.0
# How often the terms topic is compared with where the registrar stands.
TERMS_CHECK_SECONDS = 2.0


class FaustStopped(Exception):
    """Faust ended by itself."""


class StallCheck:
    """Finds out whether Faust no longer fetches: seeks once, and then gives up."""

    def __init__(
        self,
        clients: KafkaClients,
        meters: MetricRegistry,
        patience_seconds: float,
        on_gap: Callable[[], None],
    ) -> None:
        """`on_gap` is called when a topic lacks what should be read."""
        self._clients = clients
        self._meters = meters
        self._progress = WorkProgress(patience_seconds)
        self._on_gap = on_gap
        self._sought: tuple[TP, int] | None = None
        self._gap: tuple[TP, int] | None = None

    async def check(self, consumer: StoreConsumer, positions: Mapping[TP, int]) -> None:
        """Check the partitions that should be read on from these positions.

        Raises: Stalled; LogTruncated when the topic still lacks it after `on_gap`.
        """
        ends = {tp: consumer.highwater(tp) for tp in positions}
        suspect = self._progress.suspect(positions, ends)
        if suspect is None:
            return
        position = positions[suspect]
        partition_log = self._clients.log(suspect.topic, suspect.partition)
        try:
            offset, _ = await asyncio.to_thread(next, partition_log.read(position))
        except LogTruncated:
            if self._gap == (suspect, position):
                raise
            self._gap = suspect, position
            self._on_gap()
            return
        if offset >= 0 and self._sought != (suspect, position):
            self._sought = (suspect, position)
            self._meters.count(metrics.WORKER_SEEKS)
            log.warning("sought_back", positions={str(suspect): position})
            await consumer.seek_wait({suspect: position})
        elif offset >= 0:
            raise Stalled(
                f"{suspect.topic}/{suspect.partition} holds offset {offset}, and nothing "
                f"beyond {position} came, also after seeking there again"
            )


class Housekeeping:
    """Publishes positions, frees slots, begins snapshots, and checks that Faust still works."""

    def __init__(
        self,
        topology: Topology,
        app: App,
        positions: Positions,
        clients: KafkaClients,
        ownership: PartitionOwnership,
        sources: SourceCheck,
        registrar: RegistrarService,
        snapshots: WorkerSnapshots,
        threads: WorkerThreads,
        watchdog: Watchdog,
        meters: MetricRegistry,
        shutdown: Shutdown,
    ) -> None:
        self._app = app
        self._positions = positions
        self._ownership = ownership
        self._registrar = registrar
        self._snapshots = snapshots
        self._threads = threads
        self._watchdog = watchdog
        self._shutdown = shutdown
        worker = topology.worker
        self._terms = TP(topology.terms_topic, 0)
        self._every_seconds = min(EVERY_SECONDS, worker.offsets_commit_seconds)
        patience = min(STALL_PATIENCE_SECONDS, worker.stall_seconds)
        self._stall_check = StallCheck(
            clients, meters, patience, lambda: ownership.submit(sources.stop_broken)
        )
        self._terms_checked_at = time.monotonic()
        self._published: dict[TP, int] = {}

    async def run(self) -> None:
        """Run until it is cancelled."""
        await asyncio.gather(self._repeat(), self._repeat_due_terms())

    async def publish_positions(self) -> None:
        """Publish the positions that have changed since the last call."""
        changed = {tp: at for tp, at in self._positions().items() if self._published.get(tp) != at}
        if changed and not self._app.rebalancing:
            await self._app.store_consumer.publish_positions(changed)
            self._published.update(changed)

    async def _repeat(self) -> None:
        try:
            while True:
                await asyncio.sleep(self._every_seconds)
                self._watchdog.note_alive()
                with self._ownership.tolerating_outages():
                    await self._run_once()
        except Exception as error:
            self._shutdown.fail(error)

    async def _repeat_due_terms(self) -> None:
        """Append to the bindings log what is due by itself."""
        try:
            while True:
                await asyncio.sleep(DUE_SECONDS)
                if self._registrar.is_open:
                    with self._ownership.tolerating_outages():
                        await self._threads.on_registrar(self._registrar.apply_due)
        except Exception as error:
            self._shutdown.fail(error)

    async def _run_once(self) -> None:
        await self.publish_positions()
        if self._registrar.is_open:
            await self._threads.on_registrar(self._registrar.free_slots)
            await self._check_terms()
        if self._snapshots.is_due():
            self._ownership.submit(self._snapshots.begin_due)
        self._check_faust()
        await self._check_progress()

    async def _check_terms(self) -> None:
        now = time.monotonic()
        if now - self._terms_checked_at >= TERMS_CHECK_SECONDS:
            self._terms_checked_at = now
            await self._threads.on_registrar(self._registrar.check_source)

    def _check_faust(self) -> None:
        """A service of Faust's that crashes leaves the process alive and idle."""
        if self._app.should_stop or self._app.consumer.should_stop:
            raise FaustStopped(f"Faust stopped by itself: {self._app.crash_reason!r}")

    async def _check_progress(self) -> None:
        """Faust may stay alive and no longer fetch."""
        # While a batch is at work positions do not move, and the watchdog sees that it ends.
        if self._app.rebalancing or self._watchdog.is_suspended or self._watchdog.is_busy:
            return
        consumer = self._app.store_consumer
        fetched = consumer.assignment() - consumer.held
        positions = {
            tp: at
            for tp, at in self._positions().items()
            if tp in fetched and not (tp == self._terms and self._registrar.stopped)
        }
        await self._stall_check.check(consumer, positions)
