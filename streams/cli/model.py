"""`kae model train | evaluate | search | show`: a retriever that decodes identifiers."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kae.streams.cli import terminal
from kae.streams.cli.behaviour_files import read_chosen
from kae.streams.cli.model_output import (
    print_answer,
    print_model,
    print_scores,
    training_progress,
)
from kae.streams.cli.options import BootstrapOption, JsonOption, TopologyOption
from kae.streams.errors import NotInstalled
from kae.streams.local_run import open_topology

if TYPE_CHECKING:
    from kae.streams.replica.view import View
    from kae.streams.retrieval.model_search import ModelSearch
    from kae.streams.topology.types import Topology

app = typer.Typer(no_args_is_help=True)
PICTURE = "curve.svg"

ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", show_default=False)]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE", show_default=False, help="cpu or cuda; default: cuda where there is one."
    ),
]
BeamOption = Annotated[int, typer.Option(metavar="N", min=1, help="Beams of each query.")]
CatalogOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        show_default=False,
        help="Feed file to index in memory, instead of following the logs; may be repeated.",
    ),
]


@app.callback()
def model() -> None:
    """Train a retriever that decodes identifiers, measure it, and search with it."""


@app.command()
def train(
    samples: Annotated[Path, typer.Argument(metavar="SAMPLES", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the model.")],
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Size of the network, instead of the topology's."),
    ] = None,
    share: Annotated[
        float,
        typer.Option(metavar="X", min=0, help="Draw X times as many samples as the topology says."),
    ] = 1.0,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the training.")] = 0,
    threads: Annotated[int, typer.Option(metavar="N", min=1, help="Threads to train with.")] = 2,
    device: DeviceOption = None,
    topology: TopologyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train on samples, stage by stage; the same command goes on where one was ended."""
    opened = open_topology(topology)
    changes = {} if preset is None else {"retriever": _with_preset(opened, preset)}
    plan = opened.edited(changes).retriever_part.plan if changes else opened.retriever_part.plan
    with _neural():
        from kae.encoders.retriever.manifest import read_manifest
        from kae.encoders.retriever.training import train as train_retriever
        from kae.streams.retrieval.sample_files import load_samples

        about, found = load_samples(samples)
        with training_progress() as on_progress:
            train_retriever(
                found,
                plan.scaled(share),
                about.capacities,
                out,
                seed=seed,
                threads=threads,
                device=_device(device),
                codebook=about.codebook,
                progress=on_progress,
            )
        _draw(out)
    manifest = read_manifest(out)
    if as_json:
        terminal.print_json(manifest)
    else:
        print_model(out, manifest)


@app.command()
def evaluate(
    folder: ModelArgument,
    behaviour: Annotated[
        list[Path],
        typer.Option(metavar="FILE", help="Queries with clicks and orders; may be repeated."),
    ],
    beam: BeamOption = 512,
    catalog: CatalogOption = None,
    device: DeviceOption = None,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how often chosen items are found, with the model, by own words, and with both."""
    opened = open_topology(topology, bootstrap)
    with _neural():
        from kae.streams.retrieval.evaluate import chosen_by_query, evaluate_model

        chosen = chosen_by_query(read_chosen(behaviour))
        with _searching(folder, opened, catalog or [], beam, device) as (search, view):
            found = evaluate_model(search, view, chosen, beam)
    if as_json:
        terminal.print_json(found)
    else:
        print_scores(found)


@app.command()
def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", show_default=False)],
    folder: Annotated[Path, typer.Option("--model", metavar="DIR", help="The model.")],
    beam: BeamOption = 64,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Items at most.")] = 10,
    both: Annotated[
        bool, typer.Option("--both", help="Fuse with what the items' own words say.")
    ] = False,
    catalog: CatalogOption = None,
    device: DeviceOption = None,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decode a query under the live mask; shows the beams as words with their scores."""
    opened = open_topology(topology, bootstrap)
    with (
        _neural(),
        _searching(folder, opened, catalog or [], beam, device) as (searching, view),
    ):
        answer = searching.answer(view, text, limit, both=both)
    if as_json:
        terminal.print_json(answer)
    else:
        print_answer(answer)


@app.command()
def show(folder: ModelArgument, as_json: JsonOption = False) -> None:
    """Show what a model was trained on, and draw its curve; also while it is being trained."""
    from kae.encoders.retriever.manifest import MANIFEST, read_manifest

    with _neural():
        points = _draw(folder)
    if not (folder / MANIFEST).exists() and points:
        terminal.out.print(f"{folder}: is being trained; {points} points of its curve")
        return
    manifest = read_manifest(folder)
    if as_json:
        terminal.print_json(manifest)
    else:
        print_model(folder, manifest)


@contextmanager
def _neural() -> Iterator[None]:
    """What is done within needs the extra `neural`."""
    # The libraries must not ask the network for anything.
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        yield
    except ModuleNotFoundError as error:
        raise NotInstalled(
            f"`kae model` needs the module {error.name}, which is not installed; "
            "in a clone: make neural; elsewhere: pip install 'kae[neural]'"
        ) from error


def _with_preset(topology: "Topology", preset: str) -> dict[str, object]:
    return {**topology.retriever_part.model_dump(mode="json"), "preset": preset}


def _device(given: str | None) -> str:
    import torch

    has_cuda = torch.cuda.is_available()
    if given not in (None, "cpu", "cuda") or (given == "cuda" and not has_cuda):
        raise typer.BadParameter(
            f"--device {given}: this machine has cpu{' and cuda' if has_cuda else ' alone'}"
        )
    return given or ("cuda" if has_cuda else "cpu")


@contextmanager
def _searching(
    folder: Path, topology: "Topology", catalog: Sequence[Path], beam: int, device: str | None
) -> Iterator[tuple["ModelSearch", "View"]]:
    """The model, with a view that it fits."""
    from kae.streams.retrieval.indexes import catalog_index, serving_index
    from kae.streams.retrieval.model_search import ModelSearch
    from kae.streams.telemetry.logs import set_up_logs

    # A replica in this process logs its events; standard output is for the result.
    set_up_logs(logging.WARNING)
    opened = catalog_index(topology, catalog) if catalog else serving_index(topology)
    with opened as index:
        yield ModelSearch.open(folder, index.codebook, beam, _device(device)), index.view


def _draw(folder: Path) -> int:
    """Draw the curve of a folder beside it, and return its points."""
    from kae.streams.retrieval.curve import draw_curve, read_curve

    points = read_curve(folder)
    if points:
        try:
            (folder / PICTURE).write_bytes(draw_curve(points))
        except ModuleNotFoundError as error:
            terminal.print_warning(
                f"no picture of the curve: it needs the module {error.name}, which is not "
                "installed; pip install 'kae[plot]'"
            )
    return len(points)
