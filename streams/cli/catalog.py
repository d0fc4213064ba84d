"""`kae catalog inspect | ingest`: propose a mapping for a feed; publish it as item events."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kae.streams.cli import terminal
from kae.streams.cli.options import BootstrapOption, JsonOption, TopologyOption
from kae.streams.errors import RowsRejected
from kae.streams.local_run import open_topology

if TYPE_CHECKING:
    from kae.streams.catalog.ingest import IngestReport, OnIngestProgress
    from kae.streams.catalog.inspect import CatalogInspected


def print_inspected(found: "CatalogInspected") -> None:
    """Print the columns, what the mapping gives, and the mapping as YAML to be pasted."""
    terminal.print_table(
        f"Fields of {', '.join(found.files)}, by its first {found.rows:,} rows",
        ("field", "items", "distinct", "examples", "proposed", "why"),
        (
            (
                field.field,
                f"{field.items_share:.1%}",
                field.distinct,
                " | ".join(field.examples),
                field.role or field.category,
                field.why,
            )
            for field in found.fields
        ),
    )
    attributes = found.with_attributes_share
    terminal.print_table(
        "What this mapping gives",
        ("items", "rejected", "with a title", "with 1, 3, 6 attributes", "positions filled"),
        (
            (
                found.items,
                found.rejected,
                f"{found.with_title_share:.1%}",
                ", ".join(f"{attributes[n - 1]:.1%}" for n in (1, 3, 6)),
                f"{found.expected_positions:.2f} of {len(found.sample.words)}",
            ),
        ),
    )
    terminal.print_table(
        f"A typical item: {found.sample.id}, {found.sample.title[:80]}",
        ("position", "group", "category", "word", "items with a word here"),
        (
            (place, word.group, word.category, word.word, f"{word.filled_share:.1%}")
            for place, word in enumerate(found.sample.words)
        ),
    )
    terminal.out.print("Replace catalog in topology.yaml by this:\n", style="bold")
    terminal.out.print(found.yaml, markup=False, highlight=False, soft_wrap=True)
    if found.first_rejected:
        terminal.print_warning(
            f"{found.rejected:,} of {found.rows:,} rows are not items; first: "
            f"{found.first_rejected}"
        )


app = typer.Typer(no_args_is_help=True)


@app.command()
def inspect(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", show_default=False)],
    topology: TopologyOption = None,
    rows: Annotated[
        int, typer.Option(min=1, metavar="N", help="Rows to read, from the first.")
    ] = 5000,
    as_json: JsonOption = False,
) -> None:
    """Propose a field mapping for a feed, and show the coverage that it would give."""
    from kae.streams.catalog.inspect import inspect_feeds as inspect_feed

    found = inspect_feed(files, open_topology(topology).codebook_groups, rows)
    if as_json:
        terminal.print_json(found)
    else:
        print_inspected(found)


@app.command()
def ingest(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", show_default=False)],
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    rate: Annotated[
        float | None, typer.Option(min=0.1, metavar="N", help="Rows per second, at most.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Rows to read.")] = None,
    revision: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Revision of items without one; default: the time."),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start over instead of resuming.")
    ] = False,
    rejected: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File for rejected rows; default: FILE.rejected.jsonl."),
    ] = None,
    allow_rejected: Annotated[
        int, typer.Option(min=0, metavar="N", help="Rejected rows that still count as success.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Publish Parquet, JSON or CSV files as item events; resume an interrupted ingest."""
    from kae.streams.catalog.ingest import IngestPlan
    from kae.streams.catalog.ingest import ingest_feeds as publish
    from kae.streams.catalog.rows import open_catalog
    from kae.streams.kafka.topics import check_topics

    loaded = open_topology(topology, bootstrap)
    plan = IngestPlan(
        rejected=rejected or files[0].with_name(files[0].name + ".rejected.jsonl"),
        revision=revision,
        rows_per_second=rate,
        limit=limit,
        restart=restart,
    )
    total = sum(feed.rows for feed in open_catalog(files, loaded.catalog))
    with _progress(min(total, limit or total)) as on_progress:
        report = publish(loaded, files, plan, on_progress)
    if as_json:
        terminal.print_json(report)
    else:
        _print_report(report)
    if not report.coverage.sufficient:
        terminal.print_warning(report.coverage.warning)
    for unread in check_topics(loaded):
        terminal.print_warning(str(unread))
    if report.rejected > allow_rejected:
        raise RowsRejected(
            f"{report.rejected} of {report.rows} rows are not items, the others are published; "
            f"first: {report.first_rejected}; all of them: {report.rejected_file}"
        )


@contextmanager
def _progress(total: int) -> Iterator["OnIngestProgress | None"]:
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
    with Progress(*columns, console=terminal.err) as bar:
        task = bar.add_task("rows", total=total, rejected=0)
        yield lambda done, rejected: bar.update(task, completed=done, rejected=rejected)


def _print_report(report: "IngestReport") -> None:
    terminal.print_table(
        "Ingest",
        ("rows", "published", "rejected", "resumed", "revision", "seconds", "rows/s"),
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
