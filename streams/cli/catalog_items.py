"""The items of feed files for commands that read a catalog several times, with progress bars."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from kae.encoders.items import Item
from kae.streams.catalog.rows import FeedRow, open_catalog, read_rows
from kae.streams.cli import terminal
from kae.streams.topology.parts import CatalogPart


class CatalogItems:
    """The items of feed files, which can be read repeatedly; counts those of the last pass."""

    def __init__(self, files: Sequence[Path], catalog: CatalogPart) -> None:
        self._catalog = catalog
        self._feeds = open_catalog(files, catalog)
        self.rows = sum(feed.rows for feed in self._feeds)
        self.accepted = 0
        self.rejected = 0

    def read(self) -> Iterator[Item]:
        self.accepted = self.rejected = 0
        for row in read_rows(self._feeds, self._catalog):
            if isinstance(row, FeedRow):
                self.accepted += 1
                yield row.item
            else:
                self.rejected += 1


@contextmanager
def item_progress(label: str, total: int) -> Iterator[Callable[[int], None] | None]:
    """Show a bar on standard error if it is a terminal; yields the function that moves it."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=terminal.err) as bar:
        task = bar.add_task("items", total=total)
        yield lambda read: bar.update(task, completed=read)


@contextmanager
def step_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for each named step of the work; yields the function that moves them."""
    if not sys.stderr.isatty():
        yield lambda name, done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=terminal.err) as bar:
        tasks: dict[str, TaskID] = {}

        def report(name: str, done: int, total: int) -> None:
            task = tasks.get(name)
            if task is None:
                task = tasks[name] = bar.add_task(name, total=total)
            bar.update(task, completed=done)

        yield report
