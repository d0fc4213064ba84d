"""The progress of a measurement: a bar on a terminal, nothing elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kae.streams.cli import terminal

Meter = Callable[[int], None]


@contextmanager
def track(what: str, total: int) -> Iterator[Meter]:
    """Hand out what is told how many of `total` are done."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=terminal.err) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
