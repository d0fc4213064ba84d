"""The replica's process: the follower in its thread, the HTTP server in the main thread."""

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import structlog
import uvicorn

from kae.encoders.codebook import Codebook
from kae.streams.bootstrap import reached_brokers
from kae.streams.interpreter import set_for_indexing
from kae.streams.kafka_log import KafkaClients
from kae.streams.meters import Meters
from kae.streams.replica.follower import Follower
from kae.streams.replica.freshness import FreshnessGauge
from kae.streams.replica.http import Answers, build_app
from kae.streams.replica.index import ReplicaIndex
from kae.streams.replica.leases import Leases
from kae.streams.replica.readings import ReplicaReadings
from kae.streams.replica.waiting import ViewBell
from kae.streams.snapshots.in_log import snapshots_in_log
from kae.streams.topology import Topology

log = structlog.get_logger()

DRAIN_SECONDS = 2


class _Server(uvicorn.Server):
    """Leaves signals to the replica: uvicorn would raise them again once it has ended."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    topology: Topology, codebook: Codebook, data: Path, listener: socket.socket, name: str
) -> int:
    """Serve until SIGTERM or SIGINT (returns 0) or until the follower fails (returns 1).

    `data` is scratch: stores in it are removed and made anew from snapshots and the logs.
    Raises: StoreUnusable, DiskFull, KafkaUnreachable.
    """
    clients = KafkaClients.of(
        topology,
        name,
        timeout_seconds=topology.kafka.delivery_timeout_seconds,
        max_bytes=topology.limits.delta_bytes,
    )
    meters = Meters("replica")
    leases = Leases(topology.generation, topology.replica.lease_seconds)
    gauge = FreshnessGauge(topology.replica.fresh_within_seconds)
    with reached_brokers(topology):
        index = ReplicaIndex(
            topology,
            codebook.fingerprint,
            data / "replica",
            lambda shard: snapshots_in_log(topology, clients, shard, codebook.fingerprint),
        )
    readings = ReplicaReadings(name, index, gauge)
    meters.read_from(lambda: readings.samples(time.monotonic()))
    failure: list[BaseException] = []
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True

    def follower_ended(error: BaseException | None) -> None:
        if error is not None:
            failure.append(error)
            log.error("replica_failed", error=f"{type(error).__name__}: {error}")
            loop.call_soon_threadsafe(stop)

    bell = ViewBell()
    follower = Follower(topology, name, clients, index, leases, gauge, meters, bell, follower_ended)
    beam = topology.replica.beam
    answers = Answers(name, codebook, beam, index, leases, gauge, meters)
    server = _server(build_app(answers, meters, bell))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    set_for_indexing()
    follower.start()
    try:
        await server.serve(sockets=[listener])
    finally:
        # Stores are closed only under nobody's hands; they are scratch and need no goodbye.
        if await asyncio.to_thread(follower.stop, DRAIN_SECONDS):
            clients.close()
            index.close()
    if failure:
        return 1
    log.info("replica_stopped", replica=name)
    return 0


def _server(app: object) -> _Server:
    return _Server(
        uvicorn.Config(
            app,  # type: ignore[arg-type]
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )
