"""`kae replica run`: follow the logs and answer over HTTP."""

import asyncio
import socket
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from kae.streams.cli.options import BootstrapOption, TopologyOption
from kae.streams.local_run import open_topology

app = typer.Typer(no_args_is_help=True)


@app.callback()
def replica() -> None:
    """Follow the logs and answer over HTTP."""


@app.command()
def run(
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for scratch stores, emptied at the start; else a temporary one.",
        ),
    ] = None,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where to answer; else replica.listen.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of this replica in its leases; else HOST-PORT."),
    ] = None,
    share: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Share each view there with decoders in other processes; best in shared memory.",
        ),
    ] = None,
) -> None:
    """Serve until SIGTERM; ends with 1 when it cannot follow the logs any more."""
    from kae.streams.generations.opening import open_serving
    from kae.streams.replica.process import serve
    from kae.streams.replica.shared_views_writer import SharedViewsWriter
    from kae.streams.runtime.address import listen_at
    from kae.streams.runtime.folders import hold_folder
    from kae.streams.telemetry.logs import set_up_logs

    opened = open_topology(topology, bootstrap)
    if listen:
        opened = opened.edited({"replica.listen": listen})
    listener = listen_at(opened.replica.listen, "replica.listen")
    beginning = open_serving(opened)
    # From here on it is a service: it writes log lines.
    set_up_logs()
    own_name = name or f"{socket.gethostname()}-{listener.getsockname()[1]}"
    with (
        tempfile.TemporaryDirectory(prefix="kae-replica-") as scratch,
        hold_folder(data or Path(scratch), "replica"),
        SharedViewsWriter.open(share) if share else nullcontext() as shared,
    ):
        folder = data or Path(scratch)
        sys.exit(asyncio.run(serve(opened, beginning, folder, listener, own_name, shared)))
