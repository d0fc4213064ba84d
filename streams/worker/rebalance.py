"""Owning what the consumer group assigns, through rebalances, lost shards and outages."""

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
from kae.streams.worker.assignment import PartitionAssignment, WorkerIdentity
from kae.streams.worker.bindings import BindingsApplier
from kae.streams.worker.faust_app import App
from kae.streams.worker.meters import WorkerMeters
from kae.streams.worker.ownership import OwnedShards, ShardWorkResult
from kae.streams.worker.registrar import RegistrarService
from kae.streams.worker.requests import ShardRequests
from kae.streams.worker.shutdown import Shutdown
from kae.streams.worker.sources import SourceCheck
from kae.streams.worker.threads import WorkerThreads
from kae.streams.worker.watchdog import Watchdog

log = structlog.get_logger()


class PartitionOwnership:
    """Takes over what is assigned, and has the shard thread work on what is owned.

    A shard that is lost, and everything while no broker answers, is claimed again after a while.
    """

    def __init__(
        self,
        topology: Topology,
        identity: WorkerIdentity,
        app: App,
        assignment: PartitionAssignment,
        owned: OwnedShards,
        bindings: BindingsApplier,
        requests: ShardRequests,
        sources: SourceCheck,
        registrar: RegistrarService,
        threads: WorkerThreads,
        watchdog: Watchdog,
        meters: WorkerMeters,
        shutdown: Shutdown,
    ) -> None:
        """On the event loop, before the app is started."""
        self._topology = topology
        self._identity = identity
        self._app = app
        self._assignment = assignment
        self._owned = owned
        self._bindings = bindings
        self._requests = requests
        self._sources = sources
        self._registrar = registrar
        self._threads = threads
        self._watchdog = watchdog
        self._meters = meters
        self._shutdown = shutdown
        self._away_since: float | None = None
        self._will_claim = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        app.on_partitions_assigned.connect(self._on_assigned)  # type: ignore[arg-type]

    def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()

    # Taking over.

    async def _on_assigned(self, _app: Any, assigned: set[TP], **_: Any) -> None:
        self._assignment.replace(assigned)
        self._meters.count(metrics.WORKER_REBALANCES)
        await self._guarded(self._take_over_assigned())

    async def _take_over_assigned(self) -> None:
        await self._take_over()
        log.info(
            "worker_ready",
            worker=self._identity.name,
            shards=sorted(self._owned.positions()),
            registrar=self._assignment.has_terms,
        )

    async def _take_over(self) -> None:
        """Own exactly what is assigned, and read on from where the stores are."""
        wanted = self._assignment.shards
        result = await self._threads.on_shards(lambda: self._own_shards(wanted))
        registrar = self._registrar
        await self._threads.on_registrar(
            registrar.open if self._assignment.has_terms else registrar.close
        )
        self._away_since = None
        # Faust may have sought before a shard was open, and its records were not admitted.
        await self._app.store_consumer.seek_to_committed()
        await self._read_on(result)

    def _own_shards(self, wanted: set[int]) -> ShardWorkResult:
        with self._watchdog.suspended():
            self._owned.apply_appended()
            owned = self._owned.own(wanted).and_then(self._bindings.apply())
            owned = owned.and_then(self._sources.stop_broken())
            return owned.and_then(self._requests.catch_up())

    # Work on the shards.

    async def work_on_shards(self, work: Callable[[], ShardWorkResult]) -> None:
        """Have the shard thread do a batch's work, and seek back where records are missing."""
        with self.tolerating_outages():
            result = await self._threads.on_shards(lambda: self._unless_failed(work))
            if result.seek:
                log.warning("sought_back", positions=result.seek)
                self._meters.count(metrics.WORKER_SEEKS, by=len(result.seek))
                await self._seek(result.seek)
            if result.stopped:
                self._hold()
            if result.lost:
                self._claim_later()

    def _unless_failed(self, work: Callable[[], ShardWorkResult]) -> ShardWorkResult:
        if self._shutdown.failure is not None:
            return ShardWorkResult()
        try:
            return work()
        except BROKER_AWAY:
            raise
        except BaseException as error:
            # From this thread: the next batch is in its queue already, and must not begin.
            self._shutdown.fail(error)
            raise

    def submit(self, work: Callable[[], ShardWorkResult]) -> None:
        """Have the shard thread do what a batch does not ask for; for any thread."""
        future = self._threads.submit_to_shards(work)
        future.add_done_callback(
            lambda done: self._loop.call_soon_threadsafe(self._on_submitted_done, done)
        )

    def _on_submitted_done(self, done: Future[ShardWorkResult]) -> None:
        error = done.exception()
        if isinstance(error, BROKER_AWAY):
            self._claim_after_outage(error)
        elif error is not None:
            self._shutdown.fail(error)
        else:
            self._spawn(self._guarded(self._read_on(done.result())))

    async def _read_on(self, result: ShardWorkResult) -> None:
        """Seek where the work says, and fetch nothing of what is held or not read."""
        await self._seek(result.seek)
        self._hold()
        if result.lost:
            self._claim_later()

    def _hold(self) -> None:
        topic = self._topology.items_topic
        held = {TP(topic, shard) for shard in self._owned.held()}
        self._app.store_consumer.hold(held | self._assignment.unread)

    async def _seek(self, offsets: Mapping[int, int]) -> None:
        consumer = self._app.store_consumer
        assigned = consumer.assignment()
        positions = {TP(self._topology.items_topic, p): offset for p, offset in offsets.items()}
        await consumer.seek_wait({tp: at for tp, at in positions.items() if tp in assigned})

    # Claiming again.

    @contextmanager
    def tolerating_outages(self) -> Iterator[None]:
        """Leave work undone while no broker answers; its records are read again later."""
        try:
            yield
        except BROKER_AWAY as error:
            self._claim_after_outage(error)

    def _claim_after_outage(self, error: BaseException) -> None:
        """Claim what is not owned later, unless the outage is too long by now."""
        now = self._loop.time()
        self._away_since = self._away_since or now
        if now - self._away_since > self._topology.worker.stall_seconds:
            self._shutdown.fail(error)
            return
        log.warning("broker_away", error=repr(error))
        self._claim_later()

    def _claim_later(self) -> None:
        if not self._will_claim:
            self._will_claim = True
            self._spawn(self._claim_again())

    async def _claim_again(self) -> None:
        # Whoever claimed the log owns it until the group says otherwise; a worker that was stopped
        # learns within a session timeout that it is no longer in the group.
        await asyncio.sleep(self._topology.worker.session_timeout_seconds)
        self._will_claim = False
        await self._guarded(self._take_over())

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            with self.tolerating_outages():
                await work
        except Exception as error:
            self._shutdown.fail(error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
