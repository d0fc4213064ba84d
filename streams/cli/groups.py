"""`kae groups fit`: which categories share a position, from a catalog."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.tree import Tree

from kae.encoders.categories import POSITIONS
from kae.streams.cli import terminal
from kae.streams.cli.catalog_items import CatalogItems, item_progress
from kae.streams.cli.options import JsonOption, TopologyOption
from kae.streams.local_run import open_topology

if TYPE_CHECKING:
    from kae.encoders.groups.fit import FittedGroups
    from kae.streams.codebooks.fitted_groups import GroupsFitted


app = typer.Typer(no_args_is_help=True)


@app.callback()
def groups() -> None:
    """Merge the categories into six groups."""


@app.command()
def fit(
    catalog: Annotated[list[Path], typer.Argument(metavar="CATALOG...", show_default=False)],
    topology: TopologyOption = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for groups.yaml and merges.svg."),
    ] = None,
    entropy: Annotated[float, typer.Option(min=0, help="Weight of a difference in entropy.")] = 1.0,
    activation: Annotated[
        float, typer.Option(min=0, help="Weight of a difference in how many items have them.")
    ] = 1.0,
    family: Annotated[
        float, typer.Option(min=0, help="Weight of belonging to two semantic families.")
    ] = 0.5,
    size: Annotated[float, typer.Option(min=0, help="Weight of more than six in a group.")] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Fit the groups to a catalog, and print them as the section of topology.yaml."""
    from kae.encoders.catalog_reader import CatalogReader
    from kae.encoders.groups.fit import PASSES, fit_groups
    from kae.encoders.groups.merge import MergeWeights
    from kae.streams.codebooks.fitted_groups import describe_groups, groups_section

    loaded = open_topology(topology)
    items = CatalogItems(catalog, loaded.catalog)
    began = time.monotonic()
    with item_progress("fitting", PASSES * items.rows) as on_progress:
        fitted = fit_groups(
            CatalogReader(items.read, on_progress),
            loaded.codebook_groups,
            loaded.catalog.fields,
            MergeWeights(entropy, activation, family, size),
        )
    report = describe_groups(fitted, items.rejected, time.monotonic() - began)
    if out is not None:
        files = write_fitted(fitted, out)
        report = msgspec.structs.replace(report, files=tuple(map(str, files)))
    if as_json:
        terminal.print_json(report)
        return
    print_fitted(report)
    terminal.out.print(groups_section(fitted.groups), markup=False, highlight=False, soft_wrap=True)


def write_fitted(fitted: "FittedGroups", folder: Path) -> list[Path]:
    """Write the section and the dendrogram to a folder; warn if matplotlib is missing."""
    from kae.streams.codebooks.dendrogram import draw_dendrogram
    from kae.streams.codebooks.fitted_groups import groups_section

    folder.mkdir(parents=True, exist_ok=True)
    section = folder / "groups.yaml"
    section.write_text(groups_section(fitted.groups), encoding="utf-8")
    if not fitted.tree.merges:
        return [section]
    try:
        picture = draw_dendrogram(fitted.tree, fitted.occurrences.catalog_items)
    except ModuleNotFoundError as error:
        terminal.print_warning(
            f"no picture of the merges: it needs the module {error.name}, which is not installed; "
            "pip install 'kae[plot]'"
        )
        return [section]
    file = folder / "merges.svg"
    file.write_bytes(picture)
    return [section, file]


def print_fitted(report: "GroupsFitted") -> None:
    """Print the merges, the groups and their notes."""
    terminal.out.print(_tree(report))
    terminal.print_table(
        "Groups" if report.fitted else "Groups, as declared",
        ("position", "group", "capacity", "words", "bits", "crowded", "categories"),
        (
            (
                group.position,
                group.name,
                group.capacity,
                group.words,
                group.bits,
                f"{group.crowded:.1%}",
                ", ".join(group.categories),
            )
            for group in report.groups
        ),
    )
    for note in report.notes:
        terminal.print_warning(note)
    if report.rejected:
        terminal.err.print(f"{report.rejected:,} rows are not items and were left out")


def _tree(report: "GroupsFitted") -> Tree:
    """Make a tree with the last merge as root; branches say what merges lost and left."""
    root = Tree(f"[bold]Merges[/]: {report.items:,} items, {report.seconds:.1f} s")
    marks = {POSITIONS: " [bold]cut[/]", report.knee: " [bold]knee[/]"}
    if report.knee == POSITIONS:
        marks[POSITIONS] = " [bold]knee, cut[/]"
    made = {tuple(sorted(step.left + step.right)): step for step in report.merges}

    def grow(branch: Tree, categories: tuple[str, ...]) -> None:
        step = made.get(tuple(sorted(categories)))
        if step is None:
            branch.add(categories[0])
            return
        twig = branch.add(
            f"{step.groups_left} left, lost {step.loss:.3f} (in all {step.cumulative_loss:.3f}), "
            f"cost {step.cost:.3f}{marks.get(step.groups_left, '')}"
        )
        grow(twig, step.left)
        grow(twig, step.right)

    if report.merges:
        grow(root, report.merges[-1].left + report.merges[-1].right)
    return root
