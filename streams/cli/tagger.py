"""`kae tagger train | evaluate`: train the neural tagger, and measure it on held-out titles."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from kae.encoders.tagger.evaluation import TaggerScores, evaluate_values
from kae.encoders.tagger.hints import HintedTitle, hinted_titles
from kae.encoders.tagger.labelled import LabelledTitle, read_kinds, read_titles, split_folds
from kae.encoders.tagger.tagger import Tagger
from kae.encoders.tagger.weights import PACKAGED
from kae.streams.cli import terminal
from kae.streams.cli.catalog_items import CatalogItems
from kae.streams.cli.options import JsonOption, TopologyOption
from kae.streams.errors import NotInstalled
from kae.streams.local_run import open_topology

app = typer.Typer(no_args_is_help=True)
FOLDS = 5
# The most hinted titles of a catalog that training uses.
HINTED_TITLES = 10_000
CatalogArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="CATALOG...",
        show_default=False,
        help="Feed files whose fields label their titles, to train on as well.",
    ),
]
SeedOption = Annotated[int, typer.Option(metavar="N", help="Seed of the training.")]
RoundsOption = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Epochs of each member; fewer are faster and worse."),
]
ThreadsOption = Annotated[int, typer.Option(metavar="N", help="Threads to train with.")]


class TaggerTrained(msgspec.Struct, frozen=True):
    """What `kae tagger train --json` prints."""

    folder: str
    fingerprint: str
    titles: int
    hinted: int  # titles of catalogs, labelled by fields


class TaggerEvaluated(msgspec.Struct, frozen=True):
    """What `kae tagger evaluate --json` prints; no test title was trained on."""

    learned: int
    hinted: int  # titles of catalogs, learned from too
    held_back: str
    measured: TaggerScores


@app.callback()
def tagger() -> None:
    """Train the neural tagger, and measure it."""


@app.command()
def train(
    catalog: CatalogArgument = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            show_default=False,
            help="Folder for the tagger; by default it replaces the packaged one.",
        ),
    ] = None,
    seed: SeedOption = 0,
    rounds: RoundsOption = None,
    threads: ThreadsOption = 2,
    topology: TopologyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train on all labelled titles, about 20 minutes on two cores; needs the extra `neural`.

    With a catalog, the topology's field mapping labels its titles in part, to train on as well.
    """
    titles = read_titles()
    hinted = _hinted(catalog, topology)
    folder = out or PACKAGED
    fingerprint = _trained(titles, hinted, seed, rounds, threads, folder)
    report = TaggerTrained(str(folder), fingerprint, len(titles), len(hinted))
    if as_json:
        terminal.print_json(report)
    else:
        terminal.out.print(
            f"{folder}: tagger {report.fingerprint}, learned from {len(titles):,} titles"
            + (f", and from the fields of {len(hinted):,}" if hinted else "")
        )


@app.command()
def evaluate(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the tagger.")],
    catalog: CatalogArgument = None,
    fold: Annotated[
        int, typer.Option(metavar="N", min=0, max=FOLDS - 1, help="Which fifth to hold out.")
    ] = 0,
    unseen: Annotated[
        str,
        typer.Option(
            metavar="TYPE", help="Hold out all titles of this product type instead, such as Tea."
        ),
    ] = "",
    seed: SeedOption = 0,
    rounds: RoundsOption = None,
    threads: ThreadsOption = 2,
    topology: TopologyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train on a part of the labelled titles, and measure on the rest."""
    titles = read_titles()
    if unseen:
        learned = [title for title in titles if title.product_type != unseen]
        held_back = [title for title in titles if title.product_type == unseen]
    else:
        learned, held_back = split_folds(titles, FOLDS, fold, seed=0)
    hinted = _hinted(catalog, topology)
    _trained(learned, hinted, seed, rounds, threads, out)
    report = TaggerEvaluated(
        len(learned),
        len(hinted),
        f"titles of {unseen}" if unseen else f"fold {fold} of {FOLDS}",
        measured(held_back, out),
    )
    if as_json:
        terminal.print_json(report)
    else:
        _print_report(report)


def measured(titles: list[LabelledTitle], folder: Path) -> TaggerScores:
    """Compare what the tagger of a folder finds in titles with their labels."""
    from kae.encoders.categories import CATEGORIES

    tagged = Tagger(folder).tag([title.text for title in titles])
    return evaluate_values(
        (
            frozenset(
                (CATEGORIES[value.category], title.text[value.begin : value.end])
                for value in values
            ),
            title.gold,
        )
        for title, values in zip(titles, tagged, strict=True)
    )


def _hinted(catalog: list[Path] | None, topology: Path | None) -> list[HintedTitle]:
    if not catalog:
        return []
    part = open_topology(topology).catalog
    categories = frozenset(kind.category for kind in read_kinds())
    items = CatalogItems(catalog, part)
    return hinted_titles(items.read(), part.fields, categories, HINTED_TITLES)


def _trained(
    titles: list[LabelledTitle],
    hinted: list[HintedTitle],
    seed: int,
    rounds: int | None,
    threads: int,
    out: Path,
) -> str:
    # The libraries must not ask the network for newer weights.
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from kae.encoders.tagger.training import MEMBERS, ROUNDS, train_tagger
    except ModuleNotFoundError as error:
        raise NotInstalled(
            f"`kae tagger` trains with the module {error.name}, which is not installed; "
            "in a clone: make neural; elsewhere: pip install 'kae[neural]'"
        ) from error
    rounds = rounds or ROUNDS
    with _progress(MEMBERS * rounds) as on_progress:
        trained = train_tagger(titles, seed, threads, on_progress, rounds, hinted)
    parameters = {"seed": seed, "rounds": rounds, "titles": len(titles)}
    if hinted:
        parameters["hinted"] = len(hinted)
    return trained.save(out, {name: str(number) for name, number in parameters.items()})


@contextmanager
def _progress(rounds: int) -> Iterator[Callable[[int, float], None]]:
    """Show a bar on a terminal, otherwise print a line for each round."""
    if not sys.stderr.isatty():
        yield lambda done, loss: terminal.err.print(
            f"learning: round {done} of {rounds}, loss {loss:.3f}", highlight=False
        )
        return
    columns = (
        TextColumn("learning"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rounds, loss {task.fields[loss]:.3f},"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=terminal.err) as bar:
        task = bar.add_task("rounds", total=rounds, loss=float("nan"))
        yield lambda done, loss: bar.update(task, completed=done, loss=loss)


def _print_report(report: TaggerEvaluated) -> None:
    found = report.measured
    terminal.print_table(
        f"Learned from {report.learned:,} titles, measured with {report.held_back}: "
        f"{found.titles:,}",
        ("category", "wanted", "precision", "recall", "F1"),
        (
            *(
                (name, one.wanted, one.precision, one.recall, one.f1)
                for name, one in found.categories.items()
            ),
            (
                "all",
                found.micro.wanted,
                found.micro.precision,
                found.micro.recall,
                found.micro.f1,
            ),
            ("mean of the seven", None, None, None, found.macro_f1),
        ),
    )
