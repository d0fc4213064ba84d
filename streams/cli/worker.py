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
        typer.Option(
            metavar="DIR", help="Folder of this worker's stores, its own; else stores.path."
        ),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Where /metrics is; port 0 is any. Else worker.listen."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="How this worker signs its claims; else HOST-PID."),
    ] = None,
) -> None:
    """Index until SIGTERM; ends with 1 when anything is in doubt, so that another takes over."""
    from kae.streams.codebooks.opening import open_codebook
    from kae.streams.kafka.reader import check_logs
    from kae.streams.kafka.topics import check_group, check_topics
    from kae.streams.runtime.address import listen_at
    from kae.streams.runtime.folders import hold_folder
    from kae.streams.telemetry.logs import set_up_logs
    from kae.streams.worker.ownership import WorkerIdentity
    from kae.streams.worker.worker import Worker

    opened = open_topology(topology, bootstrap)
    if listen:
        opened = opened.edited({"worker.listen": listen})
    at = opened.worker.listen
    listener = listen_at(at, "worker.listen") if at else None
    codebook = open_codebook(opened)
    check_topics(opened)
    check_group(opened)
    check_logs(opened, codebook)
    # From here on it is a service: what it has to say are log lines.
    set_up_logs()
    signed = name or f"{socket.gethostname()}-{os.getpid()}"
    identity = WorkerIdentity(signed, codebook.fingerprint, data or opened.stores_folder)
    with hold_folder(identity.data, "worker"):
        worker = Worker(opened, codebook, identity)
        with _face(worker, listener):
            sys.exit(asyncio.run(worker.run()))


@contextmanager
def _face(worker: "Worker", listener: socket.socket | None) -> Iterator[None]:
    from kae.streams.runtime.address import url_of
    from kae.streams.worker.http import WorkerHttp

    if listener is None:
        yield
        return
    face = WorkerHttp(listener, worker.meters, worker.readiness)
    face.start()
    structlog.get_logger().info("worker_listening", url=url_of(listener))
    try:
        yield
    finally:
        face.stop()
