"""`kae backfill run|plan`: build a whole generation from a catalog or the items topic, on Beam."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import BootstrapOption, JsonOption, TopologyOption
from kae.streams.errors import BackfillDiffers, RowsRejected
from kae.streams.local_run import open_topology

if TYPE_CHECKING:
    from kae.streams.backfill.job import Job
    from kae.streams.backfill.run import BackfillReport
    from kae.streams.topology.types import Topology


app = typer.Typer(no_args_is_help=True)
TOLD_SECONDS = 0.5


@app.callback()
def backfill() -> None:
    """Build a whole generation from a catalog or from the items topic, on Beam."""


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(
    context: typer.Context,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="CATALOG...", show_default=False)
    ] = None,
    codebook: Annotated[
        Path | None,
        typer.Option(metavar="DIR", show_default=False, help="Its codebook; else the topology's."),
    ] = None,
    generation: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Which generation; else the topology's."),
    ] = None,
    from_items: Annotated[
        bool,
        typer.Option(
            "--from-items",
            help="Read the items topic, up to where it ends now; beside a CATALOG, since --as-of.",
        ),
    ] = False,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            show_default=False,
            help="When the dump of the catalog began, ISO 8601 with its zone; else now. Live "
            "workers catch up with the events since.",
        ),
    ] = None,
    revision: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Revision of items that carry none; else the time."),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where it goes on after a kill; else .kae/backfill/gN."),
    ] = None,
    split_rows: Annotated[
        int, typer.Option(min=1, metavar="N", help="Rows that are encoded as one piece of work.")
    ] = 65_536,
    restart: Annotated[
        bool, typer.Option("--restart", help="Drop what was done, and begin again.")
    ] = False,
    allow_refused: Annotated[
        int, typer.Option(min=0, metavar="N", help="Refused rows that still count as success.")
    ] = 0,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Encode, sort, build and snapshot every shard; other options are Beam's (--runner ...)."""
    from kae.streams.backfill.run import BackfillPlan, begin
    from kae.streams.backfill.run import backfill as run_backfill

    opened = _of_generation(open_topology(topology, bootstrap), codebook, generation)
    paths, options = parted([*map(str, files or []), *context.args])
    if not paths and not from_items:
        raise BackfillDiffers("give CATALOG files, --from-items, or both")
    if paths and from_items and as_of is None:
        raise BackfillDiffers("CATALOG and --from-items: give --as-of, when the dump began")
    plan = BackfillPlan(
        files=tuple(map(Path, paths)),
        work=work or Path(f".kae/backfill/g{opened.generation}"),
        from_items=from_items,
        as_of_ms=None if as_of is None else _moment_ms(as_of),
        revision=revision,
        split_rows=split_rows,
        restart=restart,
        options=tuple(options),
    )
    job = begin(opened, plan)
    with _progress(job, plan.work):
        report = run_backfill(opened, plan, job)
    if as_json:
        terminal.print_json(report)
    else:
        _print(report)
    if report.refused > allow_refused:
        raise RowsRejected(
            f"{report.refused} of {report.rows} rows are not items, the others are in generation "
            f"{report.generation}; first: {report.first_refused or 'see kae dead-letters list'}; "
            f"all of them: {report.refused_file or 'kae dead-letters list'}"
        )


@app.command()
def plan(
    files: Annotated[list[Path], typer.Argument(metavar="CATALOG...", show_default=False)],
    codebook: Annotated[
        Path | None,
        typer.Option(metavar="DIR", show_default=False, help="Its codebook; else the topology's."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Processes, a core each.")] = 1,
    sample: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="How long to encode for.")
    ] = 60.0,
    split_rows: Annotated[int, typer.Option(min=1, metavar="N", help="As for run.")] = 65_536,
    topology: TopologyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell items, bytes, time and core-hours of a backfill from a sample; no broker is asked."""
    from kae.streams.backfill.plan import plan_backfill

    opened = _of_generation(open_topology(topology, None), codebook, None)
    found = plan_backfill(opened, files, split_rows, workers, sample)
    if as_json:
        terminal.print_json(found)
        return
    terminal.print_table(
        f"Backfill of {found.rows:,} rows by {found.workers} workers",
        ("splits", "shards", "store bytes", "seconds", "core-hours", "rows a second of a core"),
        (
            (
                found.splits,
                found.shards,
                found.store_bytes,
                found.seconds,
                str(found.core_hours),
                found.rows_per_second_of_a_core,
            ),
        ),
    )


def parted(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The catalog's files, and Beam's options, from the first that kae does not know on."""
    first = next((n for n, one in enumerate(arguments) if one.startswith("-")), len(arguments))
    return arguments[:first], arguments[first:]


def _moment_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BackfillDiffers(f"--as-of {text}: {error}; give 2026-11-25T17:00:00Z") from error
    if moment.tzinfo is None:
        raise BackfillDiffers(f"--as-of {text}: has no zone; give {text}Z, or {text}+01:00")
    return int(moment.timestamp() * 1000)


def _of_generation(
    topology: "Topology", codebook: Path | None, generation: int | None
) -> "Topology":
    changes: dict[str, object] = {}
    if codebook is not None:
        changes["codebook.path"] = str(codebook.resolve())
    if generation is not None:
        changes["generation"] = generation
    return topology.edited(changes) if changes else topology


@contextmanager
def _progress(job: "Job", folder: Path) -> Iterator[None]:
    """A bar on a terminal; what it shows is what the work folder holds, on whatever runner."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from kae.streams.backfill.run import progress
    from kae.streams.backfill.work import WorkFolder

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.speed:,.0f} rows/s"),
        TextColumn("{task.fields[shards]} shards built"),
        TimeRemainingColumn(),
    )
    ended = threading.Event()
    with Progress(*columns, console=terminal.err) as bar:
        task = bar.add_task("encoding", total=job.rows, shards=0)

        def tell() -> None:
            while not ended.wait(TOLD_SECONDS):
                told = progress(job, WorkFolder(folder))
                bar.update(task, completed=told.rows, shards=told.shards)

        telling = threading.Thread(target=tell, name="progress", daemon=True)
        telling.start()
        try:
            yield
        finally:
            ended.set()
            telling.join()


def _print(report: "BackfillReport") -> None:
    terminal.print_table(
        f"Generation {report.generation}: {report.items:,} items of {report.rows:,} rows in "
        f"{report.seconds:,.1f} s",
        ("shard", "items", "stale", "hash", "goes on at offset"),
        ((one.shard, one.items, one.stale, one.hash, one.next_offset) for one in report.shards),
    )
