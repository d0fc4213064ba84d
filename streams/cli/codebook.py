"""`kae codebook build`: decide which word has which slot, from a catalog."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from kae.encoders.attributes import Item
from kae.streams import console
from kae.streams.catalog import Row, open_catalog, read_rows
from kae.streams.cli.options import JsonOption, TopologyOption
from kae.streams.local_run import open_topology
from kae.streams.topology import CatalogPart

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
    items = _CatalogItems(catalog, loaded.catalog)
    began = time.monotonic()
    with _progress(PASSES * items.rows) as told:
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


class _CatalogItems:
    """The items of feed files, to be read more than once; counts those of the last reading."""

    def __init__(self, files: Sequence[Path], catalog: CatalogPart) -> None:
        self._catalog = catalog
        self._feeds = open_catalog(files, catalog)
        self.rows = sum(feed.rows for feed in self._feeds)
        self.accepted = 0
        self.rejected = 0

    def read(self) -> Iterator[Item]:
        self.accepted = self.rejected = 0
        for row in read_rows(self._feeds, self._catalog):
            if isinstance(row, Row):
                self.accepted += 1
                yield row.item
            else:
                self.rejected += 1


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


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None] | None]:
    if not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("building"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console.err) as bar:
        task = bar.add_task("items", total=total)
        yield lambda read: bar.update(task, completed=read)


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
