"""`kae console run|user`: serve the web console, and manage its users."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from kae.streams.cli import terminal as printed
from kae.streams.cli.options import BootstrapOption, ReplicaOption, TopologyOption
from kae.streams.local_run import open_topology, replica_address

app = typer.Typer(no_args_is_help=True)


@app.callback()
def console() -> None:
    """A web console: the state of the index, terms, items, dead letters, audit."""


@app.command()
def run(
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Address to listen on; default: console.listen."),
    ] = None,
) -> None:
    """Serve the console until SIGTERM. Beyond loopback it requires users (kae console user)."""
    from kae.streams.console.guard import check_exposure
    from kae.streams.console.process import open_guard, serve
    from kae.streams.kafka.topics import check_topics
    from kae.streams.runtime.address import listen_at
    from kae.streams.telemetry.logs import set_up_logs

    opened = open_topology(topology, bootstrap)
    if listen:
        opened = opened.edited({"console.listen": listen})
    check_exposure(opened.console)
    guard = open_guard(opened)
    listener = listen_at(opened.console.listen, "console.listen")
    check_topics(opened)
    # From here on it is a service and writes logs.
    set_up_logs()
    asyncio.run(serve(opened, replica_address(opened, replica), guard, listener))


@app.command()
def user(
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    role: Annotated[
        str, typer.Option(metavar="ROLE", help="viewer, proposer, approver or admin.")
    ] = "viewer",
    users: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default=False, help="The file of users; default: console.users."
        ),
    ] = None,
    topology: TopologyOption = None,
) -> None:
    """Add a user, or change their role and password; the password is prompted for or piped in."""
    from kae.streams.console.users import ConsoleRole, write_user
    from kae.streams.errors import UsersInvalid

    if role not in ConsoleRole.__members__:
        raise typer.BadParameter(
            f"--role {role!r}: is not one of {', '.join(ConsoleRole.__members__)}"
        )
    if users is None:
        opened = open_topology(topology)
        if opened.console.users is None:
            raise UsersInvalid(
                "no file of users; give --users, or set console.users in topology.yaml"
            )
        users = opened.path.parent / opened.console.users
    if sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    write_user(users, name, ConsoleRole[role], password)
    printed.out.print(f"{users}: {name} is now {role}", highlight=False, markup=False)
