"""`kae noun verb`: the one command table.

A noun is a module with a Typer `app`; it is imported when it is used, so `kae --help` stays quick
and a replica never loads what a worker needs. Rooms above streams/ add their nouns by the entry
point group `kae.commands`.
"""

import logging
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from kae.streams.cli import terminal
from kae.streams.errors import NotInstalled


@dataclass(frozen=True, slots=True)
class Noun:
    """One row of the table; a module whose only command has the noun's name is that command."""

    name: str
    target: str  # module:attribute
    summary: str


NOUNS = (
    Noun("topology", "kae.streams.cli.topology:app", "Check and show topology.yaml."),
    Noun("contracts", "kae.streams.cli.contracts:app", "Show and write the schemas."),
    Noun("topics", "kae.streams.cli.topics:app", "Create the topics that the topology names."),
    Noun("groups", "kae.streams.cli.groups:app", "Merge the categories into six groups."),
    Noun("vocabulary", "kae.streams.cli.vocabulary:app", "Fit the words of a catalog."),
    Noun("codebook", "kae.streams.cli.codebook:app", "Build, fit, measure and compare codebooks."),
    Noun("catalog", "kae.streams.cli.catalog:app", "Inspect a feed; publish it as item events."),
    Noun("worker", "kae.streams.cli.worker:app", "Index items and terms."),
    Noun("replica", "kae.streams.cli.replica:app", "Follow the logs and answer over HTTP."),
    Noun("term", "kae.streams.cli.term:app", "Bind words to items, release and list them."),
    Noun("campaign", "kae.streams.cli.campaign:app", "Bind many words as one, and release them."),
    Noun("item", "kae.streams.cli.item:app", "Extract attributes; explain how an item is indexed."),
    Noun("tagger", "kae.streams.cli.tagger:app", "Train the neural tagger, and measure it."),
    Noun("shard", "kae.streams.cli.shard:app", "List, pause, reset and refold shards."),
    Noun(
        "generation",
        "kae.streams.cli.generation:app",
        "List, verify, promote, roll back and drop generations.",
    ),
    Noun("snapshot", "kae.streams.cli.snapshot:app", "Take, list, verify and prune snapshots."),
    Noun("parity", "kae.streams.cli.parity:app", "Compare generations over one input."),
    Noun("backfill", "kae.streams.cli.backfill:app", "Build a whole generation, on Beam."),
    Noun(
        "dead-letters",
        "kae.streams.cli.dead_letters:app",
        "List, show and replay what could not be indexed.",
    ),
    Noun("console", "kae.streams.cli.console:app", "Pages for a browser; who may sign in."),
    Noun("log", "kae.streams.cli.log:app", "Verify a replica against the logs."),
    Noun("status", "kae.streams.cli.status:app", "Show lag, versions and the accounting."),
)
UPPER_ROOMS = {
    "demo": "The whole line on this machine, as a story.",
    "bench": "Measure the live path.",
}


class CommandTable(TyperGroup):
    """The table as a Typer group: listing it imports nothing, using a row imports that row."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # A placeholder carries the summary: help and completion need no more.
        for noun in _nouns().values():
            self.add_command(TyperGroup(name=noun.name, help=noun.summary))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the noun that is used."""
        name, placeholder, rest = super().resolve_command(ctx, args)
        if name is None or placeholder is None:
            return name, placeholder, rest
        return name, _load(_nouns()[name]), rest


app = typer.Typer(
    cls=CommandTable,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("kae"))
        raise typer.Exit


@app.callback()
def kae(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """A streaming indexer for editable generative retrieval."""


def main() -> None:
    """Run the command line; an error of ours is one line, a defect keeps its traceback."""
    # What a client logs of a broker that does not answer is said by our error; a process that
    # sets up logs shows it all the same.
    for client in ("kafka", "apache_beam"):
        logging.getLogger(client).addHandler(logging.NullHandler())
    try:
        app(prog_name="kae")
    except Exception as error:
        if not type(error).__module__.startswith("kae."):
            raise
        terminal.print_error(error)
        sys.exit(1)


def _nouns() -> dict[str, Noun]:
    nouns = {noun.name: noun for noun in NOUNS}
    for point in entry_points(group="kae.commands"):
        summary = UPPER_ROOMS.get(point.name, f"Added by {_provider(point)}.")
        nouns.setdefault(point.name, Noun(point.name, point.value, summary))
    return nouns


def _provider(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.module


def _load(noun: Noun) -> Any:
    module, _, attribute = noun.target.partition(":")
    try:
        noun_app = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise NotInstalled(
            f"`kae {noun.name}` needs the module {error.name}, which is not installed; "
            "in a clone: make setup; elsewhere: pip install 'kae[demo]'"
        ) from error
    group = typer.main.get_group(noun_app)
    group.name = noun.name
    return group.commands[noun.name] if list(group.commands) == [noun.name] else group


if __name__ == "__main__":
    main()
