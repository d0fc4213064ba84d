"""A worker's rounds: what it does, and looks at, every second or so."""

import asyncio

from faust.types import TP

from kae.streams.ending import Ending
from kae.streams.faust_app import App
from kae.streams.stall_check import StallCheck
from kae.streams.tenure import Tenure
from kae.streams.topology import Topology
from kae.streams.worker_parts import WorkerParts

EVERY_SECONDS = 1.0
# What waits for shards or for a time waits at most this much longer.
TEND_SECONDS = 0.05
STALL_PATIENCE_SECONDS = 10.0


class FaustStopped(Exception):
    """Faust ended while the worker did not want it to."""


class Rounds:
    """Publishes positions, frees slots, and finds out whether Faust still lives and fetches."""

    def __init__(
        self, topology: Topology, parts: WorkerParts, app: App, tenure: Tenure, ending: Ending
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
