"""Terminal output: tables for people, one line of JSON for programs, one line for each error."""

import sys
from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

# With --json, standard output has only the JSON line; everything else goes to standard error.
out = Console()
err = Console(stderr=True)


def print_json(value: object) -> None:
    """Print a documented type (a msgspec.Struct, a dataclass) as one line of JSON."""
    sys.stdout.write(msgspec.json.encode(value, enc_hook=str).decode() + "\n")
    sys.stdout.flush()


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under a title, numbers right-aligned."""
    listed = [tuple(row) for row in rows]
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for index, column in enumerate(columns):
        numeric = bool(listed) and all(isinstance(row[index], int | float) for row in listed)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in listed:
        table.add_row(*(_cell(value) for value in row))
    out.print(table)


def print_unasked(reasons: Iterable[str]) -> None:
    """Print a line for each who could not be asked, beside what others have answered."""
    for reason in reasons:
        line = f"not asked: {reason}"
        out.print(line, style="red", markup=False, highlight=False, soft_wrap=True)


def print_error(error: BaseException) -> None:
    """Print an expected error to standard error, one line for each problem."""
    for line in str(error).splitlines() or [type(error).__name__]:
        err.print(f"error: {line}", style="red", markup=False, highlight=False, soft_wrap=True)


def print_warning(text: str) -> None:
    """Print one line to standard error about something that did not stop the command."""
    err.print(f"warning: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return escape(str(value))
