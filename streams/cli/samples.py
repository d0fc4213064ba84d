"""`kae samples build | show`: samples for a retriever, made with Beam."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kae.streams.cli import terminal
from kae.streams.cli.backfill import split_arguments
from kae.streams.cli.options import BootstrapOption, JsonOption, TopologyOption
from kae.streams.local_run import open_topology

if TYPE_CHECKING:
    from kae.streams.retrieval.sample_files import SamplesManifest

app = typer.Typer(no_args_is_help=True)
SHOWN = 3


@app.callback()
def samples() -> None:
    """Make samples that a retriever is trained on."""


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def build(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write; a new one.")],
    behaviour: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="JSON lines or Parquet: query, shown, clicked, ordered, history. May be repeated.",
        ),
    ] = None,
    catalog: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Feed file with the items, instead of the generation that serves; without a "
            "broker. May be repeated.",
        ),
    ] = None,
    behaviours_until: Annotated[
        str | None,
        typer.Option(
            metavar="end|OFFSETS",
            show_default=False,
            help="Also read the behaviours topic: to where it ends now, or up to these offsets, "
            "one for each partition, as `samples show` prints them: 120,98.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of what is random.")] = 0,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Join items with behaviour, and write samples by stage; other options are Beam's."""
    from kae.streams.retrieval.build_samples import SamplesOptions, build_samples
    from kae.streams.telemetry.logs import set_up_logs

    # A replica in this process logs its events; standard output is for the result.
    set_up_logs(logging.WARNING)
    left, beam = split_arguments(context.args)
    if left:
        raise typer.BadParameter(f"unexpected {left[0]!r}")
    options = SamplesOptions(
        out,
        behaviour=tuple(behaviour or ()),
        catalog=tuple(catalog or ()),
        seed=seed,
        behaviours_until=_offsets(behaviours_until),
        beam=tuple(beam),
    )
    manifest = build_samples(open_topology(topology, bootstrap), options)
    _print(out, manifest, as_json=as_json)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
    task: Annotated[
        str | None, typer.Option(metavar="TASK", help="Show the first samples of a task.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is in a folder of samples."""
    from kae.streams.retrieval.sample_files import first_samples, read_manifest

    manifest = read_manifest(folder)
    _print(folder, manifest, as_json=as_json)
    if task and not as_json:
        terminal.print_table(
            f"First samples of {task}",
            ("text", "slots", "target text", "target slots"),
            (
                (one.text, _written(one.slots), one.target_text, _written(one.target_slots))
                for one in first_samples(folder, task, SHOWN)
            ),
        )


def _offsets(until: str | None) -> tuple[int, ...] | None:
    """As `SamplesOptions` has them."""
    if until is None or until == "end":
        return None if until is None else ()
    try:
        offsets = tuple(map(int, until.split(",")))
    except ValueError:
        offsets = (-1,)
    if min(offsets) < 0:
        raise typer.BadParameter(f"--behaviours-until {until!r}: give end, or offsets as 120,98")
    return offsets


def _written(slots: tuple[int, ...]) -> str:
    from kae.encoders.retriever.samples import ABSENT

    return " ".join("-" if index == ABSENT else str(index) for index in slots)


def _print(folder: Path, manifest: "SamplesManifest", *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(manifest)
        return
    terminal.print_table(
        f"{folder}: samples of codebook {manifest.codebook}",
        ("stage", "task", "samples"),
        (
            (stage, task, number)
            for stage, tasks in manifest.tasks.items()
            for task, number in tasks.items()
        ),
    )
    terminal.print_table(
        "Read = used + passed over",
        ("input", "read", "used", "passed over"),
        (
            (
                kind,
                one.read,
                one.used,
                ", ".join(f"{cause}: {n:,}" for cause, n in one.passed_over.items()) or "none",
            )
            for kind, one in manifest.counts.items()
        ),
    )
    if ranges := manifest.source.behaviours:
        until = ",".join(str(one.end) for one in ranges)
        terminal.out.print(f"of the behaviours topic: --behaviours-until {until}", highlight=False)
