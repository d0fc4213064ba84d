"""The Faust agents: one indexes the items topic, the other registers term events."""

import asyncio
from typing import Any

from faust.types import TP

from kae.streams.topology.types import Topology
from kae.streams.worker.admission import Run
from kae.streams.worker.batching import Batching
from kae.streams.worker.faust_app import App
from kae.streams.worker.indexer import Indexer
from kae.streams.worker.ownership import OwnedShards, ShardWorkResult
from kae.streams.worker.rebalance import PartitionOwnership
from kae.streams.worker.registrar import RegistrarService
from kae.streams.worker.threads import WorkerThreads
from kae.streams.worker.watchdog import Watchdog

# A steady stream brings more sooner than this; then the shard thread should do nothing else.
QUIET_SECONDS = 0.005
IDLE_SECONDS = 1.0
TERMS_BATCH = 256


class ItemAgent:
    """Has batches of item events indexed, and applied in the next quiet moment."""

    def __init__(
        self,
        batching: Batching,
        ownership: PartitionOwnership,
        threads: WorkerThreads,
        watchdog: Watchdog,
        indexer: Indexer,
        owned: OwnedShards,
    ) -> None:
        self._batching = batching
        self._ownership = ownership
        self._threads = threads
        self._watchdog = watchdog
        self._indexer = indexer
        self._owned = owned
        self._batches = 0
        self._acknowledged = asyncio.Event()

    async def run(self, stream: Any) -> None:
        self._queue: asyncio.Queue[Any] = stream.channel.queue
        await self._batching.drain(
            self._queue, self._next_event, lambda: self._indexer.batch_size.limit, self._index
        )

    async def _index(self, runs: list[Run], more: bool) -> None:
        """Index a batch: encode it, apply the one before, append this one.

        The next batch applies this one. If there is none yet, the brokers' acknowledgement has it
        applied in the next quiet moment.
        """
        self._batches += 1
        number = self._batches
        loop = asyncio.get_running_loop()

        def index() -> ShardWorkResult:
            result = self._indexer.index(runs)
            if not more:
                self._owned.when_acknowledged(
                    lambda: loop.call_soon_threadsafe(self._note_acknowledged, number)
                )
            return result

        await self._ownership.work_on_shards(index)

    def _note_acknowledged(self, number: int) -> None:
        if number == self._batches:  # else the next batch applies it
            self._acknowledged.set()

    async def _next_event(self) -> Any:
        """What comes next; until then, apply what is acknowledged and index for selectors."""
        coming = asyncio.ensure_future(self._queue.get())
        acknowledged = asyncio.ensure_future(self._acknowledged.wait())
        try:
            while True:
                seconds = QUIET_SECONDS if self._owned.has_unindexed_items else IDLE_SECONDS
                done, _ = await asyncio.wait(
                    {coming, acknowledged}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
                )
                if coming in done:
                    return coming.result()
                if acknowledged in done:
                    self._acknowledged.clear()
                    with self._watchdog.busy():
                        await self._ownership.work_on_shards(self._owned.apply_appended)
                    acknowledged = asyncio.ensure_future(self._acknowledged.wait())
                elif self._owned.has_unindexed_items:
                    await self._ownership.work_on_shards(self._owned.index_for_selectors)
        finally:
            coming.cancel()
            acknowledged.cancel()


class TermAgent:
    """Has batches of term events registered."""

    def __init__(
        self,
        topology: Topology,
        app: App,
        batching: Batching,
        ownership: PartitionOwnership,
        threads: WorkerThreads,
        registrar: RegistrarService,
    ) -> None:
        self._partition = TP(topology.terms_topic, 0)
        self._app = app
        self._batching = batching
        self._ownership = ownership
        self._threads = threads
        self._registrar = registrar

    async def run(self, stream: Any) -> None:
        queue = stream.channel.queue
        await self._batching.drain(queue, queue.get, lambda: TERMS_BATCH, self._register)

    async def _register(self, runs: list[Run], _more: bool) -> None:
        own = [run for run in runs if run[0].partition == self._partition.partition]
        records = [record for run in own for record in run]
        with self._ownership.tolerating_outages():
            seek = await self._threads.on_registrar(lambda: self._registrar.register(records))
            if seek is not None:
                await self._app.store_consumer.seek_wait({self._partition: seek})
