"""`kae worker run`: index items and register terms."""

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from kae.streams.cli.options import BootstrapOption, TopologyOption
from kae.streams.local_run import open_topology

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
    name: Annotated[
        str, typer.Option(metavar="NAME", help="How this worker signs its claims.")
    ] = f"{socket.gethostname()}-{os.getpid()}",
) -> None:
    """Index until SIGTERM; ends with 1 when anything is in doubt, so that another takes over."""
    from kae.streams.encoding import open_codebook
    from kae.streams.indexer import Identity
    from kae.streams.log_heads import check_logs
    from kae.streams.logs import set_up_logs
    from kae.streams.store_folder import hold_folder
    from kae.streams.topics import check_topics
    from kae.streams.worker import Worker

    opened = open_topology(topology, bootstrap)
    codebook = open_codebook(opened)
    check_topics(opened)
    check_logs(opened, codebook)
    # From here on it is a service: what it has to say are log lines.
    set_up_logs()
    identity = Identity(name, codebook.fingerprint, data or opened.stores_folder)
    with hold_folder(identity.data, "worker"):
        sys.exit(asyncio.run(Worker(opened, codebook, identity).run()))
