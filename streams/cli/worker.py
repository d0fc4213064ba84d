"""`kae worker run`: index items and register terms."""

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from kae.streams.cli.options import BootstrapOption, TopologyOption
from kae.streams.local_run import open_topology

if TYPE_CHECKING:
    from kae.streams.worker.worker import Worker


app = typer.Typer(no_args_is_help=True)


@app.callback()
def worker() -> None:
    """Index items and register terms."""


@app.command()
def run(
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the stores, not shared; default: stores.path."),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Address of /metrics; port 0: any. Default: worker.listen."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the worker in the logs; default: HOST-PID."),
    ] = None,
) -> None:
    """Index until SIGTERM. Exits with 1 on any doubt, so that another worker takes over."""
    from kae.streams.codebooks.opening import open_codebook_for_indexing
    from kae.streams.kafka.codecs import check_codecs
    from kae.streams.kafka.reader import check_logs
    from kae.streams.kafka.topics import check_group, check_topics
    from kae.streams.runtime.address import listen_at
    from kae.streams.runtime.folders import hold_folder
    from kae.streams.telemetry.logs import set_up_logs
    from kae.streams.worker.assignment import WorkerIdentity
    from kae.streams.worker.worker import Worker

    opened = open_topology(topology, bootstrap)
    if listen:
        opened = opened.edited({"worker.listen": listen})
    at = opened.worker.listen
    listener = listen_at(at, "worker.listen") if at else None
    codebook = open_codebook_for_indexing(opened)
    check_codecs(faust=True)
    check_topics(opened)
    check_group(opened)
    check_logs(opened, codebook)
    # From here on it is a service and writes logs.
    set_up_logs()
    worker_name = name or f"{socket.gethostname()}-{os.getpid()}"
    identity = WorkerIdentity(worker_name, codebook.fingerprint, data or opened.stores_folder)
    with hold_folder(identity.data, "worker"):
        worker = Worker(opened, codebook, identity)
        with _http_server(worker, listener):
            sys.exit(asyncio.run(worker.run()))


@contextmanager
def _http_server(worker: "Worker", listener: socket.socket | None) -> Iterator[None]:
    from kae.streams.runtime.address import url_of
    from kae.streams.worker.http import WorkerHttp

    if listener is None:
        yield
        return
    server = WorkerHttp(listener, worker.meters, worker.readiness)
    server.start()
    structlog.get_logger().info("worker_listening", url=url_of(listener))
    try:
        yield
    finally:
        server.stop()
