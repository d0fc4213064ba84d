"""Finding out whether Faust is alive and no longer fetches.

A worker's rounds: what it does, and looks at, every second or so.
"""

import asyncio
from collections.abc import Mapping

import structlog
from faust.types import TP

from kae.streams.kafka.log import KafkaClients
from kae.streams.telemetry import metrics
from kae.streams.telemetry.registry import MetricRegistry
from kae.streams.topology.types import Topology
from kae.streams.worker.faust_app import App, StoreConsumer
from kae.streams.worker.parts import WorkerParts
from kae.streams.worker.rebalance import PartitionOwnership
from kae.streams.worker.shutdown import Shutdown
from kae.streams.worker.watchdog import Stalled, WorkProgress

log = structlog.get_logger()


class StallCheck:
    """Seeks once where nothing comes although the topic goes on, and then gives up."""

    def __init__(
        self, clients: KafkaClients, meters: MetricRegistry, patience_seconds: float
    ) -> None:
        self._clients = clients
        self._meters = meters
        self._progress = WorkProgress(patience_seconds)
        self._sought: tuple[TP, int] | None = None

    async def look(self, consumer: StoreConsumer, positions: Mapping[TP, int]) -> None:
        """Look at the partitions that should be read on from these positions.

        Raises: Stalled.
        """
        ends = {tp: consumer.highwater(tp) for tp in positions}
        suspect = self._progress.suspect(positions, ends)
        if suspect is None:
            return
        log_of = self._clients.log(suspect.topic, suspect.partition)
        offset, _ = await asyncio.to_thread(next, log_of.read(positions[suspect]))
        if offset >= 0 and self._sought != (suspect, positions[suspect]):
            self._sought = (suspect, positions[suspect])
            self._meters.count(metrics.WORKER_SEEKS)
            log.warning("sought_back", positions={str(suspect): positions[suspect]})
            await consumer.seek_wait({suspect: positions[suspect]})
        elif offset >= 0:
            raise Stalled(
                f"{suspect.topic}/{suspect.partition} holds offset {offset}, and nothing "
                f"beyond {positions[suspect]} came, also after seeking there again"
            )


EVERY_SECONDS = 1.0
# What waits for shards or for a time waits at most this much longer.
TEND_SECONDS = 0.05
STALL_PATIENCE_SECONDS = 10.0


class FaustStopped(Exception):
    """Faust ended while the worker did not want it to."""


class Housekeeping:
    """Publishes positions, frees slots, and finds out whether Faust still lives and fetches."""

    def __init__(
        self,
        topology: Topology,
        parts: WorkerParts,
        app: App,
        tenure: PartitionOwnership,
        ending: Shutdown,
    ) -> None:
        self._parts = parts
        self._app = app
        self._tenure = tenure
        self._ending = ending
        worker = topology.worker
        self._pause = min(EVERY_SECONDS, worker.offsets_commit_seconds)
        patience = min(STALL_PATIENCE_SECONDS, worker.stall_seconds)
        self._stall_check = StallCheck(parts.clients, parts.meters, patience)
        self._published: dict[TP, int] = {}

    async def go(self) -> None:
        """Until it is cancelled."""
        try:
            while True:
                await asyncio.sleep(self._pause)
                self._parts.watchdog.alive()
                with self._tenure.outlasting_outages():
                    await self._go_once()
        except Exception as error:
            self._ending.fail(error)

    async def tend(self) -> None:
        """Carry out what is due in the bindings log; until it is cancelled."""
        try:
            while True:
                await asyncio.sleep(TEND_SECONDS)
                if self._parts.desk.is_open:
                    with self._tenure.outlasting_outages():
                        await self._parts.threads.on_desk(self._parts.desk.tend)
        except Exception as error:
            self._ending.fail(error)

    async def _go_once(self) -> None:
        await self.publish_positions()
        if self._parts.desk.is_open:
            await self._parts.threads.on_desk(self._parts.desk.free)
        if self._parts.upkeep.is_due():
            self._tenure.submit(self._parts.upkeep.begin_due)
        self._check_faust()
        await self._check_progress()

    async def publish_positions(self) -> None:
        positions = self._parts.positions()
        news = {tp: at for tp, at in positions.items() if self._published.get(tp) != at}
        if news and not self._app.rebalancing:
            await self._app.store_consumer.publish_positions(news)
            self._published.update(news)

    def _check_faust(self) -> None:
        """A crashed child service leaves the process alive and idle; that is found here."""
        if self._app.should_stop or self._app.consumer.should_stop:
            raise FaustStopped(f"Faust stopped by itself: {self._app.crash_reason!r}")

    async def _check_progress(self) -> None:
        """Faust may stay alive and no longer fetch."""
        watchdog = self._parts.watchdog
        # While a batch is at work positions stand still, and the watchdog sees to it that it ends.
        if self._app.rebalancing or watchdog.is_excused or watchdog.is_busy:
            return
        consumer = self._app.store_consumer
        fetched = consumer.assignment() - consumer.held
        positions = {tp: at for tp, at in self._parts.positions().items() if tp in fetched}
        await self._stall_check.look(consumer, positions)
