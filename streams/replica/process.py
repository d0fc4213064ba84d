"""The replica's process: the followers in their threads, the HTTP server in the main thread."""

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import structlog
import uvicorn

from kae.streams.generations.opening import ReplicaStart
from kae.streams.replica.generation import DRAIN_SECONDS
from kae.streams.replica.generation_switch import GenerationSwitch
from kae.streams.replica.http import ReplicaHttp, build_app
from kae.streams.replica.readings import ReplicaReadings
from kae.streams.replica.shared_views_writer import SharedViewsWriter
from kae.streams.runtime.ending import FINISH_SECONDS, end_within
from kae.streams.runtime.interpreter import set_for_indexing
from kae.streams.telemetry.registry import MetricSample
from kae.streams.topology.types import Topology

log = structlog.get_logger()


class _Server(uvicorn.Server):
    """Leaves signals to the replica: uvicorn would raise them again after it has stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    topology: Topology,
    start: ReplicaStart,
    data: Path,
    listener: socket.socket,
    name: str,
    shared: SharedViewsWriter | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT (returns 0) or until the follower fails (returns 1).

    `data` is scratch space: stores in it are removed and built again from snapshots and the logs.
    Views are written to `shared`, for decoders in other processes.
    Raises: as `GenerationSwitch`.
    """
    failure: list[BaseException] = []
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True

    def follower_ended(error: BaseException | None) -> None:
        if error is not None:
            failure.append(error)
            log.error("replica_failed", error=f"{type(error).__name__}: {error}")
            loop.call_soon_threadsafe(stop)

    replica = GenerationSwitch(topology, start, data, name, follower_ended, shared)

    def samples() -> Iterator[MetricSample]:
        current = replica.current
        return ReplicaReadings(name, current.index, current.gauge).samples(time.monotonic())

    replica.registry.collect_from(samples)
    answers = ReplicaHttp(name, replica.serving, replica.registry)
    server = _server(build_app(answers, replica.registry, replica.notifier))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    set_for_indexing()
    replica.start()
    try:
        await server.serve(sockets=[listener])
    finally:
        end_within(FINISH_SECONDS, 1, "replica")
        await asyncio.to_thread(replica.close)
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
