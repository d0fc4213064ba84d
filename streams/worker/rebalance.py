"""A worker's tenure: holding what the group has assigned, and claiming again what was lost."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import structlog
from faust.types import TP

from kae.streams.kafka.log import BROKER_AWAY
from kae.streams.telemetry import metrics
from kae.streams.topology.types import Topology
from kae.streams.worker.faust_app import App
from kae.streams.worker.ownership import ShardWorkResult, WorkerIdentity
from kae.streams.worker.parts import WorkerParts
from kae.streams.worker.shutdown import Shutdown

log = structlog.get_logger()


class PartitionOwnership:
    """Takes over what is assigned, follows up what became of it, and lives without a broker."""

    def __init__(
        self, topology: Topology, identity: WorkerIdentity, parts: WorkerParts, ending: Shutdown
    ) -> None:
        self._topology = topology
        self._identity = identity
        self._parts = parts
        self._ending = ending
        self._away_since: float | None = None
        self._reopening = False
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, app: App) -> None:
        """On the event loop, before the app is started."""
        self._loop = asyncio.get_running_loop()
        self._app = app
        app.on_partitions_assigned.connect(self._on_assigned)  # type: ignore[arg-type]

    def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()

    # Taking over.

    async def _on_assigned(self, _app: Any, assigned: set[TP], **_: Any) -> None:
        self._parts.assignment.replace(assigned)
        self._parts.meters.count(metrics.WORKER_REBALANCES)
        await self._guarded(self._begin_assignment())

    async def _begin_assignment(self) -> None:
        await self._take_over()
        log.info(
            "worker_ready",
            worker=self._identity.name,
            shards=sorted(self._parts.held.positions()),
            registrar=self._parts.assignment.has_terms,
        )

    async def _take_over(self) -> None:
        """Hold what is assigned and nothing else, and read on from the stores."""
        parts = self._parts
        wanted = parts.assignment.shards
        outcome = await parts.threads.on_shards(lambda: self._own(wanted))
        tend = parts.desk.open if parts.assignment.has_terms else parts.desk.close
        await parts.threads.on_desk(tend)
        self._away_since = None
        # Faust may have sought before a shard was open, and what came for it was passed over.
        await self._app.store_consumer.seek_to_committed()
        await self._follow_up(outcome)

    def _own(self, wanted: set[int]) -> ShardWorkResult:
        with self._parts.watchdog.excused():
            return self._parts.indexer.own(wanted).and_then(self._parts.requests.catch_up())

    # Work that others ask of the shards.

    def submit(self, call: Callable[[], ShardWorkResult]) -> None:
        """Have the shard thread do something; may be called from any thread."""
        future = self._parts.threads.submit_to_shards(call)
        future.add_done_callback(lambda done: self._loop.call_soon_threadsafe(self._done, done))

    def _done(self, done: Future[ShardWorkResult]) -> None:
        error = done.exception()
        if isinstance(error, BROKER_AWAY):
            self._claim_later(error)
        elif error is not None:
            self._ending.fail(error)
        else:
            self._spawn(self._guarded(self._follow_up(done.result())))

    async def _follow_up(self, outcome: ShardWorkResult) -> None:
        """Read on where shards were told to, and nothing of those that are paused."""
        await self._seek(outcome.seek)
        topic = self._topology.items_topic
        self._app.store_consumer.hold(TP(topic, shard) for shard in self._parts.held.paused())
        self._claim_again(outcome)

    async def mend(self, outcome: ShardWorkResult) -> None:
        """Go back where records of a batch were missing."""
        if outcome.seek:
            log.warning("sought_back", positions=outcome.seek)
            self._parts.meters.count(metrics.WORKER_SEEKS, by=len(outcome.seek))
            await self._seek(outcome.seek)
        self._claim_again(outcome)

    async def _seek(self, offsets: Mapping[int, int]) -> None:
        consumer = self._app.store_consumer
        places = {TP(self._topology.items_topic, p): offset for p, offset in offsets.items()}
        assigned = consumer.assignment()
        await consumer.seek_wait({tp: at for tp, at in places.items() if tp in assigned})

    # Claiming again.

    @contextmanager
    def outlasting_outages(self) -> Iterator[None]:
        """Work that the broker may leave undone; it is read again from where the stores are."""
        try:
            yield
        except BROKER_AWAY as error:
            self._claim_later(error)

    def _claim_later(self, error: BaseException) -> None:
        """Claim again what is not held, and read on from the stores; not for ever."""
        now = self._loop.time()
        self._away_since = self._away_since or now
        if now - self._away_since > self._topology.worker.stall_seconds:
            self._ending.fail(error)
            return
        log.warning("broker_away", error=repr(error))
        self._reopen_soon()

    def _claim_again(self, outcome: ShardWorkResult) -> None:
        """Open lost shards again if they stay assigned."""
        if outcome.lost:
            self._reopen_soon()

    def _reopen_soon(self) -> None:
        if not self._reopening:
            self._reopening = True
            self._spawn(self._reopen_later())

    async def _reopen_later(self) -> None:
        # Whoever claimed the log is its owner until the group says otherwise; a worker that was
        # stopped learns of its eviction within a session timeout.
        await asyncio.sleep(self._topology.worker.session_timeout_seconds)
        self._reopening = False
        await self._guarded(self._take_over())

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            with self.outlasting_outages():
                await work
        except Exception as error:
            self._ending.fail(error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
