"""`kae tagger`: train the neural tagger, and measure how good it is on titles held back."""

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
from kae.encoders.tagger.hints import Hinted, hinted_titles
from kae.encoders.tagger.labelled import Title, read_kinds, read_titles, split
from kae.encoders.tagger.tagger import Tagger
from kae.encoders.tagger.weights import PACKAGED
from kae.streams.cli import terminal
from kae.streams.cli.catalog_items import CatalogItems
from kae.streams.cli.options import JsonOption, TopologyOption
from kae.streams.errors import NotInstalled
from kae.streams.local_run import open_topology

app = typer.Typer(no_args_is_help=True)
FOLDS = 5
# Of a catalog: more is read, and no more is learned from.
HINTED_TITLES = 10_000
CatalogArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="CATALOG...",
        show_default=False,
        help="Feed files whose fields say what stands in their titles; learned from, too.",
    ),
]
SeedOption = Annotated[int, typer.Option(metavar="N", help="Of all that is drawn in training.")]
RoundsOption = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Rounds of each member; fewer are quicker and worse."),
]
ThreadsOption = Annotated[int, typer.Option(metavar="N", help="Threads to compute with.")]


class TaggerTrained(msgspec.Struct, frozen=True):
    """What `kae tagger train --json` prints."""

    folder: str
    fingerprint: str
    titles: int
    hinted: int  # titles of catalogs


class TaggerEvaluated(msgspec.Struct, frozen=True):
    """What `kae tagger evaluate --json` prints; the titles measured with were not learned from."""

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
            help="Where it is written; else in place of the one that kae carries.",
        ),
    ] = None,
    seed: SeedOption = 0,
    rounds: RoundsOption = None,
    threads: ThreadsOption = 2,
    topology: TopologyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn from all labelled titles, some 20 minutes on two cores; needs the extra `neural`.

    With a catalog, its titles teach what its fields say of them, by the topology's field mapping.
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
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the tagger is written.")],
    catalog: CatalogArgument = None,
    fold: Annotated[
        int, typer.Option(metavar="N", min=0, max=FOLDS - 1, help="Fifth to hold back.")
    ] = 0,
    unseen: Annotated[
        str,
        typer.Option(
            metavar="TYPE", help="Hold back all titles of this product type instead, such as Tea."
        ),
    ] = "",
    seed: SeedOption = 0,
    rounds: RoundsOption = None,
    threads: ThreadsOption = 2,
    topology: TopologyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn from a part of the labelled titles, and measure with the rest."""
    titles = read_titles()
    if unseen:
        learned = [title for title in titles if title.product_type != unseen]
        held_back = [title for title in titles if title.product_type == unseen]
    else:
        learned, held_back = split(titles, FOLDS, fold, seed=0)
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


def measured(titles: list[Title], folder: Path) -> TaggerScores:
    """What the tagger of a folder finds in titles, compared with what people found."""
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


def _hinted(catalog: list[Path] | None, topology: Path | None) -> list[Hinted]:
    if not catalog:
        return []
    part = open_topology(topology).catalog
    categories = frozenset(kind.category for kind in read_kinds())
    items = CatalogItems(catalog, part)
    return hinted_titles(items.read(), part.fields, categories, HINTED_TITLES)


def _trained(
    titles: list[Title],
    hinted: list[Hinted],
    seed: int,
    rounds: int | None,
    threads: int,
    out: Path,
) -> str:
    # Nothing is fetched while it runs; the libraries would ask for newer weights.
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from kae.encoders.tagger.training import MEMBERS, ROUNDS, train
    except ModuleNotFoundError as error:
        raise NotInstalled(
            f"`kae tagger` learns with the module {error.name}, which is not installed; "
            "in a clone: make neural; elsewhere: pip install 'kae[neural]'"
        ) from error
    rounds = rounds or ROUNDS
    with _progress(MEMBERS * rounds) as told:
        trained = train(titles, seed, threads, told, rounds, hinted)
    told_of = {"seed": seed, "rounds": rounds, "titles": len(titles)}
    if hinted:
        told_of["hinted"] = len(hinted)
    return trained.save(out, {name: str(number) for name, number in told_of.items()})


@contextmanager
def _progress(rounds: int) -> Iterator[Callable[[int, float], None]]:
    """A bar on a terminal, else a line a round."""
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
