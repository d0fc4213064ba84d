"""`kae behaviour ingest | erase`: what people asked for and chose, as events."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import BootstrapOption, JsonOption, TopologyOption
from kae.streams.errors import BehaviourKept, RowsRejected
from kae.streams.local_run import open_topology

if TYPE_CHECKING:
    from kae.streams.retrieval.behaviour_ingest import BehaviourIngested

app = typer.Typer(no_args_is_help=True)


@app.callback()
def behaviour() -> None:
    """Publish what people asked for and chose as behaviour events."""


@app.command()
def ingest(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", show_default=False)],
    allow_refused: Annotated[
        int, typer.Option(min=0, metavar="N", help="Refused records that still count as success.")
    ] = 0,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish JSON lines or Parquet: query, shown, clicked, ordered, history, session, user, time.

    Give the command again if it was cut short: a record that is sent twice counts once.
    """
    from kae.streams.cli.catalog_items import item_progress
    from kae.streams.retrieval.behaviour import behaviour_parts
    from kae.streams.retrieval.behaviour_ingest import ingest_behaviour

    loaded = open_topology(topology, bootstrap)
    rows = sum(part.rows for part in behaviour_parts(files))
    with item_progress("sending", rows) as on_progress:
        told = ingest_behaviour(loaded, files, on_progress)
    if as_json:
        terminal.print_json(told)
    else:
        _print_ingested(told)
    if told.refused > allow_refused:
        first = told.causes[0]
        raise RowsRejected(
            f"{told.refused:,} of {told.read:,} records were refused; the most for this cause: "
            f"{first.first}: {first.cause}; correct them and give the command again, or allow them "
            "with --allow-refused"
        )


@app.command()
def erase(
    session: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", show_default=False, help="A session. May be repeated."),
    ] = None,
    user: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", show_default=False, help="A user. May be repeated."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be erased; erase nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase everything that a session or a user did, for good."""
    from kae.streams.retrieval.behaviour_erasure import erase_behaviour

    sessions, users = list(session or ()), list(user or ())
    if not any(sessions) and not any(users):
        raise typer.BadParameter("name a --session or a --user")
    loaded = open_topology(topology, bootstrap)
    if not dry_run and not yes:
        _ask(len(sessions) + len(users))
    told = erase_behaviour(loaded, sessions, users, dry_run=dry_run)
    if as_json:
        terminal.print_json(told)
        return
    terminal.print_table(
        "Erased" if not dry_run else "Dry run: nothing was erased",
        ("records read", "requests found", "erased", "erased before"),
        ((told.read, told.found, told.erased, told.erased_before),),
    )
    terminal.out.print(
        f"no build of samples uses them; brokers remove their bytes within "
        f"{told.gone_within_hours} hours, as long as events come",
        highlight=False,
    )


def _ask(persons: int) -> None:
    if not sys.stdin.isatty():
        raise BehaviourKept("nothing was erased: nobody can be asked here; give --yes")
    typer.confirm(f"Erase all that {persons} sessions or users did?", abort=True, err=True)


def _print_ingested(told: "BehaviourIngested") -> None:
    terminal.print_table(
        "Read = sent + refused",
        ("read", "sent", "refused", "without their user", "seconds"),
        ((told.read, told.sent, told.refused, told.users_left_out, told.seconds),),
    )
    if told.causes:
        terminal.print_table(
            "Refused",
            ("cause", "records", "first"),
            ((one.cause, one.records, one.first) for one in told.causes),
        )
