"""One worker process: its parts put together, run, and shut down."""

import asyncio
import contextlib

import structlog
from faust.types import TP

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.streams.control.follower import ControlFollower
from kae.streams.control.state import ControlState
from kae.streams.kafka.lag import LagMonitor
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.unread_partitions import PartitionWatch
from kae.streams.runtime.ending import FINISH_SECONDS, end_within
from kae.streams.runtime.interpreter import set_for_indexing
from kae.streams.telemetry.traces import tracer
from kae.streams.topology.types import Topology
from kae.streams.worker.agents import ItemAgent, TermAgent
from kae.streams.worker.assignment import PartitionAssignment, WorkerIdentity
from kae.streams.worker.batching import Batching
from kae.streams.worker.bindings import BindingsApplier, BindingsFollower
from kae.streams.worker.faust_app import App, build_app, run_topic
from kae.streams.worker.housekeeping import Housekeeping
from kae.streams.worker.indexer import Indexer
from kae.streams.worker.meters import WorkerMeters
from kae.streams.worker.ownership import OwnedShards
from kae.streams.worker.readings import WorkerReadings
from kae.streams.worker.rebalance import PartitionOwnership
from kae.streams.worker.registrar import RegistrarService
from kae.streams.worker.requests import ShardRequests
from kae.streams.worker.shutdown import Shutdown
from kae.streams.worker.snapshots import WorkerSnapshots
from kae.streams.worker.sources import SourceCheck
from kae.streams.worker.threads import WorkerThreads
from kae.streams.worker.watchdog import EXIT_STALLED, Stalled, Watchdog

log = structlog.get_logger()


class Worker:
    """Each part is made after those that it uses; nothing runs before `run`."""

    def __init__(self, topology: Topology, codebook: Codebook, identity: WorkerIdentity) -> None:
        self._topology = topology
        self._identity = identity
        self._shutdown = Shutdown()
        self._threads = WorkerThreads()
        self._watchdog = Watchdog(topology.worker.stall_seconds)
        self._assignment = PartitionAssignment(topology)
        self.meters = meters = WorkerMeters()
        self._clients = clients = KafkaClients.for_writing(topology, identity.name)
        self._bindings = BindingsFollower(clients.log(topology.bindings_topic, 0), codebook.form)
        control = ControlState(topology.generation)
        self._control = ControlFollower(clients.log(topology.control_topic, 0), control)
        self._owned = owned = OwnedShards(topology, identity, clients, meters)
        self._sources = sources = SourceCheck(topology, clients, owned)
        self._indexer = Indexer(
            topology,
            Encoder(codebook),
            clients,
            self._bindings,
            owned,
            sources,
            meters,
            tracer("worker", identity.name),
        )
        self._applier = BindingsApplier(topology, clients, self._bindings, owned)
        self._snapshots = WorkerSnapshots(
            topology, identity, clients, owned, control, meters, self._shutdown.fail
        )
        self._requests = ShardRequests(
            topology,
            identity,
            clients,
            self._control,
            owned,
            self._applier,
            self._snapshots,
            sources,
            self._watchdog,
        )
        self._registrar = RegistrarService(
            topology, identity, codebook, clients, self._control, meters
        )
        self._lag = LagMonitor(
            clients, topology.items_topic, owned.positions, owned.source_positions
        )
        self._partitions = PartitionWatch(topology, clients)
        readings = WorkerReadings(
            topology,
            identity,
            codebook,
            clients,
            self._assignment,
            owned,
            self._registrar,
            self._bindings,
            self._lag,
            self._partitions,
            control,
        )
        meters.collect_from(readings.samples)
        self.readiness = readings.readiness

    async def run(self) -> int:
        """Work until SIGTERM or SIGINT (returns 0) or until anything is in doubt.

        Returns EXIT_STALLED when nothing comes any more though there is something, else 1. A
        shutdown takes FINISH_SECONDS at most.
        """
        self._shutdown.on_signals()
        app = build_app(self._topology, self._positions)
        ownership = PartitionOwnership(
            self._topology,
            self._identity,
            app,
            self._assignment,
            self._owned,
            self._applier,
            self._requests,
            self._sources,
            self._registrar,
            self._threads,
            self._watchdog,
            self.meters,
            self._shutdown,
        )
        self._add_agents(app, ownership)
        housekeeping = Housekeeping(
            self._topology,
            app,
            self._positions,
            self._clients,
            ownership,
            self._sources,
            self._registrar,
            self._snapshots,
            self._threads,
            self._watchdog,
            self.meters,
            self._shutdown,
            self._lag,
            self._owned,
        )
        set_for_indexing()
        self._start_threads(ownership)
        running = asyncio.create_task(self._run_app(app, housekeeping))
        await self._shutdown.wait()
        begun_by = self._shutdown.failure
        if begun_by is not None:
            log.error("worker_failed", error=repr(begun_by))
        end_within(FINISH_SECONDS, self._exit_code(begun_by) or 1, "worker")
        failure = await self._shut_down(app, ownership, housekeeping, running)
        if failure is None:
            log.info("worker_stopped")
        elif begun_by is None:
            log.error("worker_failed", error=repr(failure))
        return self._exit_code(failure)

    @staticmethod
    def _exit_code(failure: BaseException | None) -> int:
        if failure is None:
            return 0
        return EXIT_STALLED if isinstance(failure, Stalled) else 1

    def _positions(self) -> dict[TP, int]:
        """The next offsets of the owned shards and of the registrar."""
        positions = {
            TP(self._topology.items_topic, partition): offset
            for partition, offset in self._owned.positions().items()
        }
        terms = self._registrar.next_offset
        if terms is not None:
            positions[TP(self._topology.terms_topic, 0)] = terms
        return positions

    def _add_agents(self, app: App, ownership: PartitionOwnership) -> None:
        topology, threads = self._topology, self._threads
        batching = Batching(self._watchdog, self._shutdown)
        items = ItemAgent(batching, ownership, threads, self._watchdog, self._indexer, self._owned)
        terms = TermAgent(topology, app, batching, ownership, threads, self._registrar)
        app.agent(run_topic(app, topology.items_topic), name="items")(items.run)
        app.agent(run_topic(app, topology.terms_topic), name="terms")(terms.run)

    def _start_threads(self, ownership: PartitionOwnership) -> None:
        self._watchdog.start()
        self._bindings.start(lambda: ownership.submit(self._applier.apply), self._shutdown.fail)
        self._control.start(lambda: ownership.submit(self._requests.carry_out), self._shutdown.fail)
        self._lag.start(lambda: ownership.submit(self._sources.stop_broken))
        self._partitions.start()
        self._snapshots.start()

    async def _run_app(self, app: App, housekeeping: Housekeeping) -> None:
        # A task of its own, as Faust retries for ever when the brokers refuse it.
        try:
            await app.start()
        except Exception as error:
            self._shutdown.fail(error)
        else:
            await housekeeping.run()

    async def _shut_down(
        self,
        app: App,
        ownership: PartitionOwnership,
        housekeeping: Housekeeping,
        running: "asyncio.Task[None]",
    ) -> BaseException | None:
        """Finish what is under way and close everything in order; returns what failed."""
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        ownership.stop()
        await self._threads.finish()
        if self._shutdown.failure is None:
            await housekeeping.publish_last_positions()
        # Read before the app is stopped: what agents run into after that is no failure.
        failure = self._shutdown.failure
        await app.stop()
        await asyncio.to_thread(self._snapshots.stop)
        # Shards and the bindings log are closed on the threads that opened them.
        await self._threads.on_shards(self._owned.close)
        await self._threads.on_registrar(self._registrar.close)
        self._bindings.stop()
        self._control.stop()
        self._lag.stop()
        self._partitions.stop()
        self._watchdog.stop()
        self._clients.close()
        return failure
