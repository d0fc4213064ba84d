"""The threads that write a worker's logs: one for the shards, one for the terms.

The parts of a worker, put together; nothing of them runs before `start`.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from faust.types import TP

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.streams.control.follower import ControlFollower
from kae.streams.control.state import ControlState
from kae.streams.kafka.lag import LagMonitor
from kae.streams.kafka.log import KafkaClients
from kae.streams.telemetry.traces import tracer
from kae.streams.topology.types import Topology
from kae.streams.worker.bindings_follower import BindingsFollower
from kae.streams.worker.indexer import Indexer
from kae.streams.worker.meters import WorkerMeters
from kae.streams.worker.ownership import OwnedShards, PartitionAssignment, WorkerIdentity
from kae.streams.worker.readings import WorkerReadings
from kae.streams.worker.registrar import RegistrarService
from kae.streams.worker.requests import ShardRequests
from kae.streams.worker.snapshots import SnapshotSchedule
from kae.streams.worker.watchdog import Watchdog

T = TypeVar("T")


class WorkerThreads:
    """Each takes one call after the other, so what it works on needs no locks."""

    def __init__(self) -> None:
        self._shards = ThreadPoolExecutor(1, thread_name_prefix="shards")
        self._desk = ThreadPoolExecutor(1, thread_name_prefix="registrar")

    async def on_shards(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._shards, call)

    async def on_desk(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._desk, call)

    def submit_to_shards(self, call: Callable[[], T]) -> "Future[T]":
        """From any thread."""
        return self._shards.submit(call)

    async def finish(self) -> None:
        """Wait until what was given to them is done."""
        await self.on_shards(lambda: None)
        await self.on_desk(lambda: None)


class WorkerParts:
    """Who knows whom within one worker process."""

    def __init__(
        self,
        topology: Topology,
        codebook: Codebook,
        identity: WorkerIdentity,
        *,
        on_bindings: Callable[[], None],
        on_request: Callable[[], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        """The callbacks are called by the followers' threads."""
        self._topology = topology
        self.assignment = PartitionAssignment(topology)
        self.threads = WorkerThreads()
        self.watchdog = Watchdog(topology.worker.stall_seconds)
        self.meters = WorkerMeters()
        self.clients = KafkaClients.for_writing(topology, identity.name)
        self.bindings = BindingsFollower(
            self.clients.log(topology.bindings_topic, 0), lambda _view: on_bindings(), on_error
        )
        self.control = ControlFollower(
            self.clients.log(topology.control_topic, 0),
            ControlState(topology.generation),
            on_request,
            on_error,
        )
        self.held = OwnedShards(topology, identity, self.clients, self.meters)
        self.indexer = Indexer(
            topology,
            Encoder(codebook),
            self.clients,
            self.bindings,
            self.held,
            self.meters,
            tracer("worker", identity.name),
        )
        self.upkeep = SnapshotSchedule(
            topology, identity, self.clients, self.held, self.control.state, self.meters, on_error
        )
        self.requests = ShardRequests(
            topology, identity, self.clients, self.held, self.indexer, self.control, self.upkeep
        )
        self.desk = RegistrarService(
            topology, identity, codebook, self.clients, self.control, self.meters
        )
        self.lag = LagMonitor(self.clients, topology.items_topic, self.held.positions)
        self.readings = WorkerReadings(
            topology,
            identity,
            codebook,
            self.clients,
            self.assignment,
            self.held,
            self.desk,
            self.bindings,
            self.lag,
            self.control.state,
        )
        self.meters.collect_from(self.readings.samples)

    def positions(self) -> dict[TP, int]:
        """Where the stores and the registrar go on."""
        positions = {
            TP(self._topology.items_topic, partition): offset
            for partition, offset in self.held.positions().items()
        }
        terms = self.desk.next_offset
        if terms is not None:
            positions[TP(self._topology.terms_topic, 0)] = terms
        return positions

    def start(self) -> None:
        self.watchdog.start()
        self.bindings.start()
        self.control.start()
        self.lag.start()
        self.upkeep.start()

    async def stop(self) -> None:
        """Close what is held, each where it was opened."""
        await asyncio.to_thread(self.upkeep.stop)
        await self.threads.on_shards(self.indexer.close)
        await self.threads.on_desk(self.desk.close)
        self.bindings.stop()
        self.control.stop()
        self.lag.stop()
        self.watchdog.stop()
        self.clients.close()
