"""`kae contracts show | write`: the schemas of events and topology, and the topics as AsyncAPI."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import JsonOption, TopologyOption
from kae.streams.errors import ContractsUnwritable, ContractUnknown
from kae.streams.events.contracts import NAMES, contract, file_name, file_text
from kae.streams.local_run import open_topology

app = typer.Typer(no_args_is_help=True)


class ContractListed(msgspec.Struct, frozen=True):
    """An entry of what `kae contracts show --json` and `kae contracts write --json` print."""

    name: str
    file: str


@app.command()
def show(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", show_default=False, help="Contract to print.")
    ] = None,
    topology: TopologyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print one contract, the same as its file; without NAME, list them."""
    if name is None:
        _print_list([ContractListed(name, file_name(name)) for name in NAMES], as_json)
        return
    if name not in NAMES:
        raise ContractUnknown(f"{name!r}: no such contract; choose from {', '.join(NAMES)}")
    opened = open_topology(topology)
    if as_json:
        terminal.print_json(contract(name, opened))
    else:
        sys.stdout.write(file_text(name, opened))


@app.command()
def write(
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
    topology: TopologyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write every contract to a folder; asyncapi.yaml describes the topics of the topology."""
    opened = open_topology(topology)
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            path = folder / file_name(name)
            path.write_text(file_text(name, opened), encoding="utf-8")
            written.append(ContractListed(name, str(path)))
    except OSError as error:
        raise ContractsUnwritable(
            f"{folder}: cannot be written: {error.strerror}; give a folder that you may write to"
        ) from error
    _print_list(written, as_json)


def _print_list(listed: list[ContractListed], as_json: bool) -> None:
    if as_json:
        terminal.print_json(listed)
    else:
        terminal.print_table("Contracts", ("name", "file"), ((c.name, c.file) for c in listed))
