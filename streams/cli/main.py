"""The table of all commands: `kae NOUN VERB`.

Each noun is a module with a Typer `app`, imported only when it is used: `kae --help` stays fast,
and a replica does not load what only a worker needs. Packages above streams/ add nouns through the
entry point group `kae.commands`.
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
from kae.streams.errors import KafkaUnreachable, NotInstalled


@dataclass(frozen=True, slots=True)
class Noun:
    """One row of the table.

    If the only command of its module has the name of the noun, the noun has no verbs.
    """

    name: str
    target: str  # module:attribute
    summary: str


NOUNS = (
    Noun("topology", "kae.streams.cli.topology:app", "Check and show topology.yaml."),
    Noun(
        "contracts",
        "kae.streams.cli.contracts:app",
        "Show and write the JSON Schemas of the events.",
    ),
    Noun("topics", "kae.streams.cli.topics:app", "Create the topics of the topology."),
    Noun("groups", "kae.streams.cli.groups:app", "Merge the categories into six groups."),
    Noun("vocabulary", "kae.streams.cli.vocabulary:app", "Fit a vocabulary to a catalog."),
    Noun("codebook", "kae.streams.cli.codebook:app", "Build, fit, measure and compare codebooks."),
    Noun(
        "catalog", "kae.streams.cli.catalog:app", "Inspect a feed; publish its rows as item events."
    ),
    Noun("worker", "kae.streams.cli.worker:app", "Index items and terms."),
    Noun("replica", "kae.streams.cli.replica:app", "Follow the logs and answer over HTTP."),
    Noun(
        "term", "kae.streams.cli.term:app", "Bind words to items; release, list and preview them."
    ),
    Noun("campaign", "kae.streams.cli.campaign:app", "Bind or release many words as one unit."),
    Noun("item", "kae.streams.cli.item:app", "Extract attributes; explain how an item is indexed."),
    Noun("tagger", "kae.streams.cli.tagger:app", "Train and evaluate the neural tagger."),
    Noun("shard", "kae.streams.cli.shard:app", "List, pause, reset and refold shards."),
    Noun(
        "generation",
        "kae.streams.cli.generation:app",
        "List, verify, promote, roll back and drop generations.",
    ),
    Noun("snapshot", "kae.streams.cli.snapshot:app", "Take, list, verify and prune snapshots."),
    Noun(
        "parity", "kae.streams.cli.parity:app", "Compare two generations built from the same input."
    ),
    Noun("backfill", "kae.streams.cli.backfill:app", "Build a whole generation with Beam."),
    Noun(
        "behaviour",
        "kae.streams.cli.behaviour:app",
        "Publish what people asked for and chose as behaviour events.",
    ),
    Noun("samples", "kae.streams.cli.samples:app", "Make samples for a retriever, with Beam."),
    Noun("model", "kae.streams.cli.model:app", "Train, evaluate and search with a retriever."),
    Noun(
        "dead-letters",
        "kae.streams.cli.dead_letters:app",
        "List, show and replay dead letters.",
    ),
    Noun("console", "kae.streams.cli.console:app", "Serve the web console; manage its users."),
    Noun("log", "kae.streams.cli.log:app", "Verify a replica against the logs."),
    Noun("status", "kae.streams.cli.status:app", "Show lag, versions and event counts."),
)
PLUGIN_SUMMARIES = {
    "demo": "Run the whole pipeline on this machine, step by step.",
    "bench": "Measure the live path.",
}


class CommandTable(TyperGroup):
    """The table as a Typer group that imports a noun only when it is used."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # Help and completion need only the summary, which a placeholder carries.
        for noun in _nouns().values():
            self.add_command(TyperGroup(name=noun.name, help=noun.summary))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Replace the placeholder by the imported noun."""
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
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """A streaming indexer for editable generative retrieval."""


def main() -> None:
    """Run the command line; print an expected error as one line, a defect with its traceback."""
    # Our own errors already report a broker that does not answer. A service sets up logging and
    # shows these messages nevertheless.
    for client in ("kafka", "apache_beam"):
        logging.getLogger(client).addHandler(logging.NullHandler())
    try:
        app(prog_name="kae")
    except Exception as error:
        module = type(error).__module__
        if module.startswith("kafka."):
            error = KafkaUnreachable(
                f"Kafka does not answer as it should: {error!r}; see that its brokers run and hold "
                "the topics (kae topics apply), then run the same command again"
            )
        elif not module.startswith("kae."):
            raise
        terminal.print_error(error)
        sys.exit(1)


def _nouns() -> dict[str, Noun]:
    nouns = {noun.name: noun for noun in NOUNS}
    for point in entry_points(group="kae.commands"):
        summary = PLUGIN_SUMMARIES.get(point.name, f"Added by {_provider(point)}.")
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
