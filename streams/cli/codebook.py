"""`kae codebook build`: decide which word has which slot, from a catalog."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from kae.streams import console
from kae.streams.cli.catalog_items import CatalogItems, progress
from kae.streams.cli.options import JsonOption, TopologyOption
from kae.streams.local_run import open_topology

if TYPE_CHECKING:
    from kae.encoders.codebook import Codebook

app = typer.Typer(no_args_is_help=True)

# Building reads the catalog once to learn the dictionary and once to measure it.
PASSES = 2


class PositionBuilt(msgspec.Struct, frozen=True):
    """A position of the codebook and how much of the catalog its slots hold."""

    position: int
    group: str
    words: int
    solo_slots: int
    reserved: int
    capacity: int
    coverage: float  # occurrences of words that have a slot / occurrences of words


class CodebookBuilt(msgspec.Struct, frozen=True):
    """What `kae codebook build --json` prints."""

    folder: str
    fingerprint: str
    items: int
    rejected: int
    seconds: float
    positions: tuple[PositionBuilt, ...]


@app.callback()
def codebook() -> None:
    """Build the codebook: word -> slot."""


@app.command()
def build(
    catalog: Annotated[list[Path], typer.Argument(metavar="CATALOG...", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the codebook is written.")],
    topology: TopologyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build a codebook from Parquet, JSON Lines or CSV files, with the topology's groups."""
    from kae.encoders.build import build_codebook

    loaded = open_topology(topology)
    items = CatalogItems(catalog, loaded.catalog)
    began = time.monotonic()
    with progress("building", PASSES * items.rows) as told:
        built = build_codebook(items.read, loaded.codebook_groups, loaded.catalog.fields, out, told)
    report = CodebookBuilt(
        folder=str(out),
        fingerprint=built.fingerprint,
        items=items.accepted,
        rejected=items.rejected,
        seconds=round(time.monotonic() - began, 3),
        positions=tuple(_positions(built)),
    )
    if as_json:
        console.print_json(report)
    else:
        _print_report(report)


def _positions(codebook: "Codebook") -> Iterator[PositionBuilt]:
    for position, group in enumerate(codebook.groups):
        words = [word for word in codebook.words if codebook.position_of(word.category) == position]
        with_slot = [word for word in words if word.index]
        occurrences = sum(word.items for word in words)
        held = sum(word.items for word in with_slot)
        yield PositionBuilt(
            position=position,
            group=group.name,
            words=len(words),
            solo_slots=len({word.index for word in with_slot}),
            reserved=group.reserved,
            capacity=group.capacity,
            coverage=round(held / occurrences, 4) if occurrences else 0.0,
        )


def _print_report(report: CodebookBuilt) -> None:
    console.print_table(
        f"Codebook {report.folder}: {report.items:,} items, {report.seconds:.1f} s",
        ("position", "group", "words", "solo slots", "reserved", "capacity", "coverage"),
        (
            (
                built.position,
                built.group,
                built.words,
                built.solo_slots,
                built.reserved,
                built.capacity,
                f"{built.coverage:.1%}",
            )
            for built in report.positions
        ),
    )
    if report.rejected:
        console.err.print(f"{report.rejected:,} rows are not items and were left out")
