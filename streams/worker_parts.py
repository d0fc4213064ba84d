"""The parts of a worker, put together; nothing of them runs before `start`."""

import asyncio
from collections.abc import Callable

from faust.types import TP

from kae.encoders.assign import Encoder
from kae.encoders.codebook import Codebook
from kae.streams.assignment import Assignment
from kae.streams.bindings_follower import BindingsFollower
from kae.streams.control import ControlBook
from kae.streams.control_follower import ControlFollower
from kae.streams.held_shards import HeldShards
from kae.streams.identity import Identity
from kae.streams.indexer import Indexer
from kae.streams.kafka_log import KafkaClients
from kae.streams.lag import LagWatch
from kae.streams.shards.requests import ShardRequests
from kae.streams.snapshots.upkeep import Upkeep
from kae.streams.terms_desk import TermsDesk
from kae.streams.topology import Topology
from kae.streams.traces import tracer
from kae.streams.watchdog import Watchdog
from kae.streams.worker_meters import WorkerMeters
from kae.streams.worker_readings import WorkerReadings
from kae.streams.worker_threads import WorkerThreads


class WorkerParts:
    """Who knows whom within one worker process."""

    def __init__(
        self,
        topology: Topology,
        codebook: Codebook,
        identity: Identity,
        *,
        on_bindings: Callable[[], None],
        on_request: Callable[[], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        """The callbacks are called by the followers' threads."""
        self._topology = topology
        self.assignment = Assignment(topology)
        self.threads = WorkerThreads()
        self.watchdog = Watchdog(topology.worker.stall_seconds)
        self.meters = WorkerMeters()
        self.clients = KafkaClients.of(
            topology,
            identity.name,
            timeout_seconds=topology.kafka.delivery_timeout_seconds,
            max_bytes=topology.limits.delta_bytes,
        )
        self.bindings = BindingsFollower(
            self.clients.log(topology.bindings_topic, 0), lambda _view: on_bindings(), on_error
        )
        self.control = ControlFollower(
            self.clients.log(topology.control_topic, 0),
            ControlBook(topology.generation),
            on_request,
            on_error,
        )
        self.held = HeldShards(topology, identity, self.clients, self.meters)
        self.indexer = Indexer(
            topology,
            Encoder(codebook),
            self.clients,
            self.bindings,
            self.held,
            self.meters,
            tracer("worker", identity.name),
        )
        self.upkeep = Upkeep(
            topology, identity, self.clients, self.held, self.control.book, self.meters, on_error
        )
        self.requests = ShardRequests(
            topology, identity, self.clients, self.held, self.indexer, self.control, self.upkeep
        )
        self.desk = TermsDesk(topology, identity, codebook, self.clients, self.control, self.meters)
        self.lag = LagWatch(self.clients, topology.items_topic, self.held.positions)
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
            self.control.book,
        )
        self.meters.read_from(self.readings.samples)

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
