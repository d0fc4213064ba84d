"""`kae topics apply`: create the topics that the topology names."""

from typing import Annotated

import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import BootstrapOption, JsonOption, TopologyOption
from kae.streams.local_run import open_topology

app = typer.Typer(no_args_is_help=True)


@app.command()
def apply(
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be created; create nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Create the missing topics; fail if a topic has another number of partitions."""
    from kae.streams.kafka.topics import apply_topics

    outcomes = apply_topics(open_topology(topology, bootstrap), dry_run)
    if as_json:
        terminal.print_json(outcomes)
        return
    terminal.print_table(
        "Topics",
        ("topic", "partitions", "outcome"),
        ((topic.name, topic.partitions, topic.outcome) for topic in outcomes),
    )
