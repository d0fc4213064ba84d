"""`kae catalog inspect | ingest`: propose a mapping for a feed; publish it as item events."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kae.streams import console
from kae.streams.cli.options import BootstrapOption, JsonOption, TopologyOption
from kae.streams.errors import RowsRejected
from kae.streams.local_run import open_topology

if TYPE_CHECKING:
    from kae.streams.ingest import IngestReport, Told

app = typer.Typer(no_args_is_help=True)


@app.command()
def inspect(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", show_default=False)],
    topology: TopologyOption = None,
    rows: Annotated[
        int, typer.Option(min=1, metavar="N", help="Rows to look at, from the first on.")
    ] = 5000,
    as_json: JsonOption = False,
) -> None:
    """Propose a field mapping for a feed, with the coverage that it would give."""
    from kae.streams.catalog_inspect import inspect as inspect_feed
    from kae.streams.cli.catalog_inspected import print_inspected

    found = inspect_feed(files, open_topology(topology).codebook_groups, rows)
    if as_json:
        console.print_json(found)
    else:
        print_inspected(found)


@app.command()
def ingest(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", show_default=False)],
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    rate: Annotated[
        float | None, typer.Option(min=0.1, metavar="N", help="Rows a second, at most.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Rows to read.")] = None,
    revision: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Revision of items that carry none; else the time."),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin again, also where one was cut short.")
    ] = False,
    rejected: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where rejected rows go; else FILE.rejected.jsonl."),
    ] = None,
    allow_rejected: Annotated[
        int, typer.Option(min=0, metavar="N", help="Rejected rows that still count as success.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Publish Parquet, JSON Lines or CSV files as item events; go on where a killed one ended."""
    from kae.streams.catalog import open_catalog
    from kae.streams.ingest import IngestPlan
    from kae.streams.ingest import ingest as publish

    loaded = open_topology(topology, bootstrap)
    plan = IngestPlan(
        rejected=rejected or files[0].with_name(files[0].name + ".rejected.jsonl"),
        revision=revision,
        rows_per_second=rate,
        limit=limit,
        restart=restart,
    )
    total = sum(feed.rows for feed in open_catalog(files, loaded.catalog))
    with _progress(min(total, limit or total)) as told:
        report = publish(loaded, files, plan, told)
    if as_json:
        console.print_json(report)
    else:
        _print_report(report)
    if not report.coverage.sufficient:
        console.print_warning(report.coverage.warning)
    if report.rejected > allow_rejected:
        raise RowsRejected(
            f"{report.rejected} of {report.rows} rows are not items, the others are published; "
            f"first: {report.first_rejected}; all of them: {report.rejected_file}"
        )


@contextmanager
def _progress(total: int) -> Iterator["Told | None"]:
    if not sys.stderr.isatty():
        yield None
        return
    columns = (
        TextColumn("publishing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.speed:,.0f} rows/s"),
        TextColumn("{task.fields[rejected]} rejected"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console.err) as bar:
        task = bar.add_task("rows", total=total, rejected=0)
        yield lambda done, rejected: bar.update(task, completed=done, rejected=rejected)


def _print_report(report: "IngestReport") -> None:
    console.print_table(
        "Ingest",
        ("rows", "published", "rejected", "resumed", "revision", "seconds", "rows a second"),
        (
            (
                report.rows,
                report.published,
                report.rejected,
                report.resumed_rows,
                str(report.revision),
                report.seconds,
                report.rows_per_second,
            ),
        ),
    )
