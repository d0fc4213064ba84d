"""What a worker does and checks every second or so."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping

import structlog
from faust.types import TP

from kae.sinks.log.protocol import LogTruncated
from kae.streams.kafka.lag import LagMonitor
from kae.streams.kafka.log import KafkaClients
from kae.streams.telemetry import metrics
from kae.streams.telemetry.registry import MetricRegistry
from kae.streams.topology.types import Topology
from kae.streams.worker.faust_app import App, Positions, StoreConsumer
from kae.streams.worker.ownership import OwnedShards
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
CONTACT_SECONDS = 10.0
# How long a stopping worker may take to publish its positions, for lag tools alone.
LAST_POSITIONS_SECONDS = 3.0


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


class ContactCheck:
    """Finds out whether the brokers are elsewhere than where Faust asks them.

    aiokafka keeps to the addresses that the brokers last told it, and never looks at those of
    kafka.bootstrap again (KIP-899), so that a worker would wait for ever.
    """

    def __init__(self, clients: KafkaClients, stall_seconds: float) -> None:
        self._clients = clients
        self._stall = stall_seconds
        self._every = min(CONTACT_SECONDS, stall_seconds / 3)
        self._answered_at = self._asked_at = time.monotonic()

    async def check(self, consumer: StoreConsumer) -> None:
        """Ask the brokers if it is time.

        Raises: Stalled.
        """
        if time.monotonic() - self._asked_at < self._every:
            return
        reached = await consumer.reaches_broker(self._every)
        self._asked_at = time.monotonic()
        if reached:
            self._answered_at = self._asked_at
            return
        silent = self._asked_at - self._answered_at
        if silent > self._stall and await asyncio.to_thread(self._clients.bootstrap_answers):
            raise Stalled(
                f"for {silent:.0f} s no broker answered where brokers were, and they answer at "
                "kafka.bootstrap: their advertised addresses have changed"
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
        lag: LagMonitor,
        owned: OwnedShards,
    ) -> None:
        self._lag = lag
        self._owned = owned
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
        self._contact_check = ContactCheck(clients, worker.stall_seconds)
        self._published: dict[TP, int] = {}

    async def run(self) -> None:
        """Run until it is cancelled."""
        await asyncio.gather(self._repeat(), self._repeat_due_terms(), self._repeat_terms_check())

    async def publish_positions(self) -> None:
        """Publish the positions that have changed since the last call."""
        changed = {tp: at for tp, at in self._positions().items() if self._published.get(tp) != at}
        if changed and not self._app.rebalancing:
            await self._app.store_consumer.publish_positions(changed)
            self._published.update(changed)

    async def publish_last_positions(self) -> None:
        """Publish them if the brokers answer."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.publish_positions(), LAST_POSITIONS_SECONDS)

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
        if self._snapshots.is_due():
            self._ownership.submit(self._snapshots.begin_due)
        if empty_ends := self._lag.empty_ends():
            self._ownership.submit(lambda: self._owned.move_on(empty_ends))
        self._check_faust()
        await self._contact_check.check(self._app.store_consumer)
        await self._check_progress()

    async def _repeat_terms_check(self) -> None:
        """Compare the terms topic with where the registrar stands; nothing waits for the answer."""
        try:
            while True:
                await asyncio.sleep(TERMS_CHECK_SECONDS)
                if self._registrar.is_open:
                    with self._ownership.tolerating_outages():
                        await asyncio.to_thread(self._registrar.check_source)
        except Exception as error:
            self._shutdown.fail(error)

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
