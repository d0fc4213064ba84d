"""The live worker: Faust agents that feed the indexer and the registrar, and stop when in doubt."""

import asyncio
import contextlib
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import structlog
from faust.types import TP

from kae.encoders.assign import Encoder
from kae.encoders.codebook import Codebook
from kae.streams.bindings_follower import BindingsFollower, BindingsView
from kae.streams.collector import collect_seldom
from kae.streams.control_follower import ControlFollower
from kae.streams.faust_app import RUN_RECORDS, StoreConsumer, build_app, run_topic
from kae.streams.indexer import Identity, Indexer, Outcome, Run
from kae.streams.kafka_log import BROKER_AWAY, KafkaClients
from kae.streams.shards.requests import ShardRequests
from kae.streams.stall_check import StallCheck
from kae.streams.terms_desk import TermsDesk
from kae.streams.topology import Topology
from kae.streams.watchdog import Watchdog

log = structlog.get_logger()
T = TypeVar("T")

TERMS_BATCH = 256
TICK_SECONDS = 1.0
# Kafka's clients and the shards share the interpreter; who waits for it gets it this soon.
SWITCH_SECONDS = 0.0005


class FaustStopped(Exception):
    """Faust ended while the worker did not want it to."""


class Worker:
    """One worker process."""

    def __init__(self, topology: Topology, codebook: Codebook, identity: Identity) -> None:
        self._topology = topology
        self._identity = identity
        self._clients = KafkaClients(
            topology.kafka.bootstrap,
            f"{topology.kafka.client_id}-{identity.name}",
            timeout_seconds=topology.kafka.delivery_timeout_seconds,
            max_bytes=topology.limits.delta_bytes,
        )
        self._bindings = BindingsFollower(
            self._clients.log(topology.bindings_topic, 0), self._bindings_changed, self._fail
        )
        self._control = ControlFollower(
            self._clients.log(topology.control_topic, 0),
            topology.generation,
            lambda: self._submit(self._carry_out_requests),
            self._fail,
        )
        encoder = Encoder(codebook)
        self._indexer = Indexer(topology, identity, encoder, self._clients, self._bindings)
        self._requests = ShardRequests(
            topology, identity, self._clients, self._indexer, self._control
        )
        self._desk = TermsDesk(topology, identity, codebook, self._clients, self._control)
        self._shard_thread = ThreadPoolExecutor(1, thread_name_prefix="shards")
        self._desk_thread = ThreadPoolExecutor(1, thread_name_prefix="registrar")
        self._watchdog = Watchdog(topology.worker.stall_seconds)
        self._stall_check = StallCheck(self._clients, min(10.0, topology.worker.stall_seconds))
        self._assigned: set[TP] = set()
        self._published: dict[TP, int] = {}
        self._positions: dict[TP, int] = {}
        self._away_since: float | None = None
        self._reopening = False
        self._failure: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._queues: list[asyncio.Queue[Any]] = []

    async def run(self) -> int:
        """Work until SIGTERM or SIGINT (returns 0) or until anything is in doubt (returns 1)."""
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        self._app = build_app(self._topology, self._current_positions)
        self._app.on_partitions_assigned.connect(self._on_assigned)  # type: ignore[arg-type]
        self._app.agent(run_topic(self._app, self._topology.items_topic))(self._index_items)
        self._app.agent(run_topic(self._app, self._topology.terms_topic))(self._register_terms)
        collect_seldom()
        sys.setswitchinterval(SWITCH_SECONDS)
        self._watchdog.start()
        self._bindings.start()
        self._control.start()
        await self._app.start()
        ticking = asyncio.create_task(self._tick())
        await self._stop.wait()
        await self._shut_down(ticking)
        if self._failure is not None:
            log.error("worker_failed", error=repr(self._failure))
            return 1
        log.info("worker_stopped")
        return 0

    async def _shut_down(self, ticking: asyncio.Task[None]) -> None:
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
        for task in list(self._tasks):
            task.cancel()
        # What is in flight is finished: both threads take one call after the other.
        await self._on_shards(lambda: None)
        await self._on_desk(lambda: None)
        if self._failure is None:
            await self._publish_positions()
        await self._app.stop()
        await self._on_shards(self._indexer.close)
        await self._on_desk(self._desk.close)
        self._bindings.stop()
        self._control.stop()
        self._watchdog.stop()
        self._clients.close()

    # Assignment.

    async def _on_assigned(self, _app: Any, assigned: set[TP], **_: Any) -> None:
        try:
            self._assigned = set(assigned)
            await self._take_over()
            log.info(
                "worker_ready",
                worker=self._identity.name,
                shards=sorted(self._items_partitions()),
                registrar=self._has_terms,
            )
        except BROKER_AWAY as error:
            self._claim_later(error)
        except Exception as error:
            self._fail(error)

    async def _take_over(self) -> None:
        """Hold what is assigned and nothing else, and read on from the stores."""
        wanted = self._items_partitions()
        outcome = await self._on_shards(lambda: self._own(wanted))
        if self._has_terms:
            await self._on_desk(self._desk.open)
        else:
            await self._on_desk(self._desk.close)
        self._positions = self._stored_positions()
        self._away_since = None
        # Faust may have sought before a shard was open, and what came for it was passed over.
        await self._consumer.seek_to_committed()
        await self._follow_up(outcome)
        self._spawn(self._rest())

    def _own(self, wanted: set[int]) -> Outcome:
        with self._watchdog.excused():
            return self._indexer.own(wanted).and_then(self._requests.catch_up())

    def _claim_later(self, error: BaseException) -> None:
        """Claim again what is not held, and read on from the stores; not for ever."""
        now = self._loop.time()
        self._away_since = self._away_since or now
        if now - self._away_since > self._topology.worker.stall_seconds:
            self._fail(error)
            return
        log.warning("broker_away", error=repr(error))
        self._reopen_soon()

    def _items_partitions(self) -> set[int]:
        topic = self._topology.items_topic
        return {tp.partition for tp in self._assigned if tp.topic == topic}

    @property
    def _has_terms(self) -> bool:
        return TP(self._topology.terms_topic, 0) in self._assigned

    async def _current_positions(self) -> Mapping[TP, int]:
        return self._stored_positions()

    def _stored_positions(self) -> dict[TP, int]:
        positions = {
            TP(self._topology.items_topic, partition): offset
            for partition, offset in self._indexer.positions().items()
        }
        if self._desk.is_open:
            positions[TP(self._topology.terms_topic, 0)] = self._desk.next_offset
        return positions

    # Items.

    async def _index_items(self, stream: Any) -> None:
        await self._drain(stream, self._topology.worker.batch_events, self._index_batch)

    async def _index_batch(self, runs: list[Run], more: bool) -> None:
        """Index a batch; with more to come, its append is waited for while the next is encoded."""

        def index() -> Outcome:
            if self._failure is not None:
                return Outcome()
            try:
                outcome = self._indexer.index(runs)
                return outcome if more else outcome.and_then(self._indexer.land())
            except BROKER_AWAY:
                raise
            except BaseException as error:
                self._fail(error)  # at once: the batch behind this one is in the thread's queue
                raise

        await self._mend(await self._on_shards(index))

    async def _mend(self, outcome: Outcome) -> None:
        """Go back where records were missing; open lost shards again if they stay assigned."""
        if outcome.seek:
            log.warning("sought_back", positions=outcome.seek)
            await self._seek(outcome.seek)
        if outcome.lost:
            self._reopen_soon()

    async def _seek(self, offsets: Mapping[int, int]) -> None:
        places = {TP(self._topology.items_topic, p): offset for p, offset in offsets.items()}
        assigned = self._consumer.assignment()
        await self._consumer.seek_wait({tp: at for tp, at in places.items() if tp in assigned})

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
            await work
        except BROKER_AWAY as error:
            self._claim_later(error)
        except Exception as error:
            self._fail(error)

    # Terms.

    async def _register_terms(self, stream: Any) -> None:
        await self._drain(stream, TERMS_BATCH, self._register_batch)

    async def _register_batch(self, runs: list[Run], _more: bool) -> None:
        records = [record for run in runs for record in run]
        seek = await self._on_desk(lambda: self._desk.register(records))
        if seek is not None:
            await self._app.consumer.seek_wait({TP(self._topology.terms_topic, 0): seek})

    def _bindings_changed(self, _view: BindingsView) -> None:
        self._submit(self._indexer.spread)

    # Requests, and whatever else the followers' threads have for the shards.

    def _carry_out_requests(self) -> Outcome:
        with self._watchdog.excused():
            return self._requests.carry_out()

    def _submit(self, call: Callable[[], Outcome]) -> None:
        """Have the shard thread do something; may be called from any thread."""
        future = self._shard_thread.submit(call)
        future.add_done_callback(lambda done: self._loop.call_soon_threadsafe(self._done, done))

    def _done(self, done: Any) -> None:
        error = done.exception()
        if isinstance(error, BROKER_AWAY):
            self._claim_later(error)
        elif error is not None:
            self._fail(error)
        else:
            self._spawn(self._guarded(self._follow_up(done.result())))

    async def _follow_up(self, outcome: Outcome) -> None:
        """Read on where shards were told to, and nothing of those that are paused."""
        self._positions = self._stored_positions()
        await self._seek(outcome.seek)
        topic = self._topology.items_topic
        self._consumer.hold(TP(topic, shard) for shard in self._indexer.paused())
        if outcome.lost:
            self._reopen_soon()

    # Flow.

    async def _drain(self, stream: Any, limit: int, work: Callable[..., Any]) -> None:
        """Take what has come, without a timer: small batches when idle, full ones under load.

        Under load one batch waits behind the other, so that the thread that works never waits for
        this loop.
        """
        queue = stream.channel.queue
        begun: deque[asyncio.Task[None]] = deque()
        self._queues.append(queue)
        try:
            while True:
                await self._rest()
                runs = [(await queue.get()).value]
                while sum(map(len, runs)) + RUN_RECORDS <= limit and not queue.empty():
                    runs.append(queue.get_nowait().value)
                more = not queue.empty()
                begun.append(asyncio.ensure_future(work(runs, more)))
                while len(begun) > more:
                    await self._finish(begun.popleft())
        except Exception as error:
            if not self._stop.is_set():
                self._fail(error)
            # Nothing more is taken from the queue; the process ends.
            await asyncio.Event().wait()

    async def _finish(self, begun: asyncio.Task[None]) -> None:
        try:
            with self._watchdog.busy():
                await begun
        except BROKER_AWAY as error:
            self._claim_later(error)  # the batch is read again from where the stores are
        self._positions = self._stored_positions()

    async def _rest(self) -> None:
        """Use the time until something comes: what is indexed then, no selector waits for."""
        more = True
        try:
            while more and all(queue.empty() for queue in self._queues):
                more = await self._on_shards(self._indexer.rest)
        except Exception as error:
            self._fail(error)

    async def _tick(self) -> None:
        pause = self._topology.worker.offsets_commit_seconds
        try:
            while True:
                await asyncio.sleep(min(TICK_SECONDS, pause))
                self._watchdog.alive()
                try:
                    await self._look_after()
                except BROKER_AWAY as error:
                    self._claim_later(error)
        except Exception as error:
            self._fail(error)

    async def _look_after(self) -> None:
        await self._publish_positions()
        if self._desk.is_open:
            await self._on_desk(self._desk.free)
        self._check_faust()
        await self._check_progress()

    def _check_faust(self) -> None:
        """A crashed child service leaves the process alive and idle; that is found here."""
        if self._app.should_stop or self._app.consumer.should_stop:
            raise FaustStopped(f"Faust stopped by itself: {self._app.crash_reason!r}")

    async def _check_progress(self) -> None:
        """Faust may stay alive and no longer fetch."""
        if self._app.rebalancing or self._watchdog.is_excused:
            return
        fetched = self._consumer.assignment() - self._consumer.held
        positions = {tp: at for tp, at in self._positions.items() if tp in fetched}
        await self._stall_check.look(self._consumer, positions)

    async def _publish_positions(self) -> None:
        news = {tp: o for tp, o in self._positions.items() if self._published.get(tp) != o}
        if news and not self._app.rebalancing:
            await self._consumer.publish_positions(news)
            self._published.update(news)

    @property
    def _consumer(self) -> StoreConsumer:
        return cast("StoreConsumer", self._app.consumer)

    async def _on_shards(self, call: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._shard_thread, call)

    async def _on_desk(self, call: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._desk_thread, call)

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _fail(self, error: BaseException) -> None:
        """Stop before anything more is taken; may be called from any thread."""
        if self._failure is None:
            self._failure = error
        self._loop.call_soon_threadsafe(self._stop.set)
