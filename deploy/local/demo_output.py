"""What the demo prints: progress bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

_LINE_EVERY_SECONDS = 2.0


class ProgressBar(Protocol):
    """Shows how much of a long step is done."""

    def __call__(self, done: int) -> None: ...


class DemoOutput:
    """Prints numbered chapters to one console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._chapter = 0
        self._began = time.monotonic()

    def chapter(self, title: str) -> None:
        self._chapter += 1
        elapsed = f"[dim]{time.monotonic() - self._began:5.1f} s[/dim]"
        self._console.print(f"\n[bold cyan]{self._chapter}[/]  [bold]{title}[/]  {elapsed}")

    def say(self, line: str) -> None:
        """Print one line; it may contain rich markup."""
        self._console.print(f"   {line}", soft_wrap=True, highlight=False)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        table.add_column("  ")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row("", *row)
        self._console.print(table)

    @contextmanager
    def progress(self, label: str, total: int) -> Iterator[ProgressBar]:
        """Show a count that grows towards `total`."""
        with (
            self._bar(label, total)
            if self._console.is_terminal
            else self._lines(label, total) as bar
        ):
            yield bar

    @contextmanager
    def _bar(self, label: str, total: int) -> Iterator[ProgressBar]:
        columns = (
            TextColumn("   {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task(label, total=total, rate="")
            rate = _Rate()

            def show(done: int) -> None:
                progress.update(task, completed=done, rate=rate.of(done))

            yield show

    @contextmanager
    def _lines(self, label: str, total: int) -> Iterator[ProgressBar]:
        rate = _Rate()
        printed_at, printed = time.monotonic(), -1

        def show(done: int) -> None:
            nonlocal printed_at, printed
            due = done >= total or time.monotonic() - printed_at >= _LINE_EVERY_SECONDS
            if due and done != printed:
                printed_at, printed = time.monotonic(), done
                self.say(f"{label} {done:,}/{total:,} {rate.of(done)}")

        yield show


class _Rate:
    """The mean rate since the first event; the wait for the first rebalance does not count."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def of(self, done: int) -> str:
        now = time.monotonic()
        if self._first is None:
            if done:
                self._first = (now, done)
            return ""
        began, before = self._first
        return f"{(done - before) / max(now - began, 1e-9):,.0f}/s" if done > before else ""
