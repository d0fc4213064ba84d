"""The console as a process: its web server, from start to SIGTERM."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import structlog
import uvicorn

from kae.streams.console.app import build_app
from kae.streams.console.backend import ConsoleBackend
from kae.streams.console.guard import Guard
from kae.streams.console.users import Users
from kae.streams.replica_api.client import ReplicaClient
from kae.streams.runtime.address import url_of
from kae.streams.topology.types import Topology

log = structlog.get_logger()
REPLICA_TIMEOUT_SECONDS = 10.0
DRAIN_SECONDS = 2


class _Server(uvicorn.Server):
    """Leaves signals to `serve`: uvicorn would raise them again after its shutdown."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def open_guard(topology: Topology) -> Guard:
    """Raises: UsersInvalid."""
    console = topology.console
    users = None
    if console.users is not None:
        users = Users(topology.path.parent / Path(console.users))
    return Guard(users, console.session_hours * 3600)


async def serve(topology: Topology, replica: str, guard: Guard, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT."""
    backend = ConsoleBackend(topology, ReplicaClient(replica, REPLICA_TIMEOUT_SECONDS))
    server = _Server(
        uvicorn.Config(
            build_app(backend, guard),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    log.info("console_listening", url=url_of(listener), replica=replica)
    try:
        await server.serve(sockets=[listener])
    finally:
        backend.close()
    log.info("console_stopped")
