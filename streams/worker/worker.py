"""The live worker: Faust agents that feed the indexer and the registrar, and stop when in doubt."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from faust.types import TP

from kae.encoders.codebook.codebook import Codebook
from kae.streams.kafka.log import BROKER_AWAY
from kae.streams.runtime.interpreter import set_for_indexing
from kae.streams.topology.types import Topology
from kae.streams.worker.admission import Run
from kae.streams.worker.batching import Batching
from kae.streams.worker.faust_app import build_app, run_topic
from kae.streams.worker.housekeeping import Housekeeping
from kae.streams.worker.ownership import ShardWorkResult, WorkerIdentity
from kae.streams.worker.parts import WorkerParts
from kae.streams.worker.rebalance import PartitionOwnership
from kae.streams.worker.shutdown import Shutdown

log = structlog.get_logger()
TERMS_BATCH = 256


class Worker:
    """One worker process."""

    def __init__(self, topology: Topology, codebook: Codebook, identity: WorkerIdentity) -> None:
        self._topology = topology
        self._ending = Shutdown()
        self._parts = WorkerParts(
            topology,
            codebook,
            identity,
            on_bindings=lambda: self._tenure.submit(self._parts.indexer.spread),
            on_request=lambda: self._tenure.submit(self._carry_out_requests),
            on_error=self._ending.fail,
        )
        self._intake = Batching(self._parts, self._ending, self._land_batch)
        self._batches = 0
        self._tenure = PartitionOwnership(topology, identity, self._parts, self._ending)
        self.meters = self._parts.meters
        self.readiness = self._parts.readings.readiness

    async def run(self) -> int:
        """Work until SIGTERM or SIGINT (returns 0) or until anything is in doubt (returns 1)."""
        self._ending.listen()
        self._app = build_app(self._topology, self._positions)
        self._tenure.begin(self._app)
        self._app.agent(run_topic(self._app, self._topology.items_topic))(self._index_items)
        self._app.agent(run_topic(self._app, self._topology.terms_topic))(self._register_terms)
        set_for_indexing()
        self._parts.start()
        rounds = Housekeeping(self._topology, self._parts, self._app, self._tenure, self._ending)
        going = asyncio.create_task(self._go(rounds))
        await self._ending.wait()
        failure = await self._shut_down(rounds, going)
        if failure is not None:
            log.error("worker_failed", error=repr(failure))
            return 1
        log.info("worker_stopped")
        return 0

    async def _go(self, rounds: Housekeeping) -> None:
        # Beside the ending: Faust tries for ever where the brokers refuse it.
        try:
            await self._app.start()
        except Exception as error:
            self._ending.fail(error)
        else:
            await asyncio.gather(rounds.go(), rounds.tend())

    async def _shut_down(
        self, rounds: Housekeeping, going: asyncio.Task[None]
    ) -> BaseException | None:
        """End in order; returns what failed."""
        going.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await going
        self._tenure.stop()
        # What is in flight is finished.
        await self._parts.threads.finish()
        if self._ending.failure is None:
            await rounds.publish_positions()
        # All is done that can be: what an agent still meets is Faust's consumer that has ended.
        failure = self._ending.failure
        await self._app.stop()
        await self._parts.stop()
        return failure

    async def _positions(self) -> Mapping[TP, int]:
        return self._parts.positions()

    # Items.

    async def _index_items(self, stream: Any) -> None:
        pace = self._parts.indexer.pace
        await self._intake.drain(stream, lambda: pace.limit, self._index_batch, rests=True)

    async def _index_batch(self, runs: list[Run], more: bool) -> None:
        """Index a batch; its append is waited for by nobody: the next one is encoded meanwhile.

        With nothing more to come, the intake is told when the broker has answered.
        """
        self._batches += 1
        number = self._batches
        loop = asyncio.get_running_loop()

        def index() -> ShardWorkResult:
            outcome = self._parts.indexer.index(runs)
            if not more:
                self._parts.indexer.when_answered(
                    lambda: loop.call_soon_threadsafe(self._answered, number)
                )
            return outcome

        await self._on_shards(index)

    def _answered(self, number: int) -> None:
        if number == self._batches:  # else the next one lands it
            self._intake.landable.set()

    async def _land_batch(self) -> None:
        await self._on_shards(self._parts.indexer.land)

    async def _on_shards(self, call: Callable[[], ShardWorkResult]) -> None:
        with self._tenure.outlasting_outages():
            outcome = await self._parts.threads.on_shards(lambda: self._unless_failed(call))
            await self._tenure.mend(outcome)

    def _unless_failed(self, call: Callable[[], ShardWorkResult]) -> ShardWorkResult:
        if self._ending.failure is not None:
            return ShardWorkResult()
        try:
            return call()
        except BROKER_AWAY:
            raise
        except BaseException as error:
            # At once: the batch behind this one is in the thread's queue.
            self._ending.fail(error)
            raise

    def _carry_out_requests(self) -> ShardWorkResult:
        with self._parts.watchdog.excused():
            return self._parts.requests.carry_out()

    # Terms.

    async def _register_terms(self, stream: Any) -> None:
        await self._intake.drain(stream, lambda: TERMS_BATCH, self._register_batch)

    async def _register_batch(self, runs: list[Run], _more: bool) -> None:
        records = [record for run in runs for record in run]
        with self._tenure.outlasting_outages():
            seek = await self._parts.threads.on_desk(lambda: self._parts.desk.register(records))
            if seek is not None:
                terms = TP(self._topology.terms_topic, 0)
                await self._app.store_consumer.seek_wait({terms: seek})
