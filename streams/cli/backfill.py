"""`kae backfill run|plan`: build a whole generation with Beam."""

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
PROGRESS_SECONDS = 0.5


@app.callback()
def backfill() -> None:
    """Build a whole generation from a catalog or the items topic, with Beam."""


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(
    context: typer.Context,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="CATALOG...", show_default=False)
    ] = None,
    codebook: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", show_default=False, help="The codebook; default: the topology's."
        ),
    ] = None,
    generation: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="The generation; default: the topology's."),
    ] = None,
    from_items: Annotated[
        bool,
        typer.Option(
            "--from-items",
            help="Read the items topic up to its current end; with a CATALOG, from --as-of on.",
        ),
    ] = False,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            show_default=False,
            help="When the dump of the catalog began, ISO 8601 with a time zone; default: now. "
            "Live workers index the events since then.",
        ),
    ] = None,
    revision: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Revision of items without one; default: the time."),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder to resume from; default: .kae/backfill/gN."),
    ] = None,
    split_rows: Annotated[
        int, typer.Option(min=1, metavar="N", help="Rows in one unit of work.")
    ] = 65_536,
    restart: Annotated[
        bool, typer.Option("--restart", help="Discard earlier work and start again.")
    ] = False,
    allow_refused: Annotated[
        int, typer.Option(min=0, metavar="N", help="Refused rows to accept.")
    ] = 0,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Encode, sort, build and snapshot every shard; other options are Beam's (--runner ...)."""
    from kae.streams.backfill.run import run_backfill
    from kae.streams.backfill.start import BackfillOptions, start_backfill

    opened = _of_generation(open_topology(topology, bootstrap), codebook, generation)
    paths, beam = split_arguments([*map(str, files or []), *context.args])
    if not paths and not from_items:
        raise BackfillDiffers("give CATALOG files, --from-items, or both")
    if paths and from_items and as_of is None:
        raise BackfillDiffers("CATALOG and --from-items: give --as-of, when the dump began")
    run_options = BackfillOptions(
        files=tuple(map(Path, paths)),
        work=work or Path(f".kae/backfill/g{opened.generation}"),
        from_items=from_items,
        as_of_ms=None if as_of is None else _timestamp_ms(as_of),
        revision=revision,
        split_rows=split_rows,
        restart=restart,
        beam=tuple(beam),
    )
    job = start_backfill(opened, run_options)
    with _progress(job, run_options.work):
        report = run_backfill(opened, run_options, job)
    if as_json:
        terminal.print_json(report)
    else:
        _print(report)
    if report.refused > allow_refused:
        raise RowsRejected(
            f"{report.refused} of {report.rows} rows were refused; the others are in generation "
            f"{report.generation}; first: {report.first_refused or 'see kae dead-letters list'}; "
            f"all of them: {report.refused_file or 'kae dead-letters list'}"
        )


@app.command()
def plan(
    files: Annotated[list[Path], typer.Argument(metavar="CATALOG...", show_default=False)],
    codebook: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", show_default=False, help="The codebook; default: the topology's."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Processes, one core each.")] = 1,
    sample: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="How long to encode the sample.")
    ] = 60.0,
    split_rows: Annotated[int, typer.Option(min=1, metavar="N", help="As for run.")] = 65_536,
    topology: TopologyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Estimate items, bytes, time and core-hours of a backfill from a sample, without a broker."""
    from kae.streams.backfill.estimate import estimate_backfill

    opened = _of_generation(open_topology(topology, None), codebook, None)
    found = estimate_backfill(opened, files, split_rows, workers, sample)
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


def split_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Split into catalog files and Beam options; the options begin at the first that kae lacks."""
    first = next((n for n, one in enumerate(arguments) if one.startswith("-")), len(arguments))
    return arguments[:first], arguments[first:]


def _timestamp_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BackfillDiffers(f"--as-of {text}: {error}; give 2026-11-25T17:00:00Z") from error
    if moment.tzinfo is None:
        raise BackfillDiffers(f"--as-of {text}: has no time zone; give {text}Z or {text}+01:00")
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
    """Show a progress bar on a terminal, from the contents of the work folder (any runner)."""
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
    stopped = threading.Event()
    with Progress(*columns, console=terminal.err) as bar:
        task = bar.add_task("encoding", total=job.rows, shards=0)

        def update() -> None:
            while not stopped.wait(PROGRESS_SECONDS):
                done = progress(job, WorkFolder(folder))
                bar.update(task, completed=done.rows, shards=done.shards)

        updater = threading.Thread(target=update, name="progress", daemon=True)
        updater.start()
        try:
            yield
        finally:
            stopped.set()
            updater.join()


def _print(report: "BackfillReport") -> None:
    terminal.print_table(
        f"Generation {report.generation}: {report.items:,} items of {report.rows:,} rows in "
        f"{report.seconds:,.1f} s",
        ("shard", "items", "stale", "hash", "next offset"),
        ((one.shard, one.items, one.stale, one.hash, one.next_offset) for one in report.shards),
    )
