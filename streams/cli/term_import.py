"""`kae term import`: bind all rows of a CSV table of terms, or none."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import BootstrapOption, JsonOption, ReplicaOption, TopologyOption
from kae.streams.cli.term_options import (
    ByOption,
    NoWaitOption,
    ReplaceOption,
    TimeoutOption,
    WaitFor,
    requester,
)
from kae.streams.errors import TermRefused
from kae.streams.local_run import open_topology, replica_address

if TYPE_CHECKING:
    from kae.streams.replica_api.client import ReplicaClient
    from kae.streams.terms.bulk_import import RowReport, TermImport


app = typer.Typer()


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.csv", show_default=False, help="A term a row.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Preview each row; send nothing.")
    ] = False,
    by: ByOption = "",
    replace: ReplaceOption = False,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Bind the words of a table, each to its items, if every row is right.

    Columns: word, match, where, items, aliases, category, owner, reason, from, until. Several ids
    or aliases are separated by |; until may be never. Each row is bound with its preview's plan.
    """
    from kae.streams.kafka.topics import check_topics
    from kae.streams.replica_api.client import ReplicaClient
    from kae.streams.terms.bulk_import import TermImport
    from kae.streams.terms.publish import publish_all

    opened = open_topology(topology, bootstrap)
    client = ReplicaClient(replica_address(opened, replica))
    planned = TermImport(file, opened, client, requester(by), replace=replace)
    sends = not dry_run and not planned.wrong
    events = planned.events() if sends else []
    if events:
        check_topics(opened)
        publish_all(opened, events)
    if as_json:
        terminal.print_json(planned.report([word for word, _ in events]))
    else:
        _print(file, planned.rows)
    if planned.wrong:
        raise TermRefused(
            f"{file}: {planned.wrong} of {len(planned.rows)} rows are wrong; correct them, nothing "
            "was sent"
        )
    if events and not no_wait:
        _wait(client, planned, [word for word, _ in events], timeout)


def _wait(client: "ReplicaClient", planned: "TermImport", words: list[str], seconds: float) -> None:
    """Raises: TermRefused, with the cause of each refused row; TermTimedOut."""
    from kae.streams.terms.publish import wait_for_term

    deadline = time.monotonic() + seconds
    refused = []
    for word in words:
        left = max(0.0, deadline - time.monotonic())
        try:
            wait_for_term(client, word, planned.revision, left, until=WaitFor.EVERYWHERE)
        except TermRefused as error:
            refused.append(str(error))
    if refused:
        raise TermRefused("\n".join(refused))


def _print(file: Path, rows: "list[RowReport]") -> None:
    terminal.print_table(
        f"{file}: {len(rows)} rows",
        ("line", "word", "category", "by", "items", "identifiers", "free slots", "is wrong"),
        (_cells(row) for row in rows),
    )
    for row in rows:
        for collision in row.collisions:
            terminal.print_warning(f"line {row.line}: {collision.summary()}")
        for problem in row.problems:
            where = f"{problem.field} {problem.value!r}" if problem.field else repr(row.word)
            terminal.print_error(TermRefused(f"line {row.line}: {where}: {problem.cause}"))


def _cells(row: "RowReport") -> tuple[object, ...]:
    preview, wrong = row.preview, bool(row.problems)
    if preview is None or row.chosen is None:
        return (row.line, row.word, None, None, None, None, None, wrong)
    room = f"{preview.room.free} of {preview.room.reserved}"
    by = row.chosen.by
    return (
        row.line,
        row.word,
        preview.category,
        by,
        preview.items,
        preview.identifiers,
        room,
        wrong,
    )
