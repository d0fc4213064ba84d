"""`kae topics apply|check`: create the topics that the topology names, or compare them with it."""

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
    from kae.streams.kafka.topics import apply_topics, check_topics

    opened = open_topology(topology, bootstrap)
    outcomes = apply_topics(opened, dry_run)
    if not dry_run:
        for unread in check_topics(opened):
            terminal.print_warning(str(unread))
    if as_json:
        terminal.print_json(outcomes)
        return
    terminal.print_table(
        "Topics",
        ("topic", "partitions", "outcome"),
        ((topic.name, topic.partitions, topic.outcome) for topic in outcomes),
    )


@app.command()
def check(
    topology: TopologyOption = None, bootstrap: BootstrapOption = None, as_json: JsonOption = False
) -> None:
    """Compare the topics with topology.yaml; change nothing, and exit with 1 if they differ."""
    from kae.streams.kafka.topics import check_topics

    opened = open_topology(topology, bootstrap)
    unread = check_topics(opened)
    if as_json:
        terminal.print_json(unread)
    for one in () if as_json else unread:
        terminal.print_warning(str(one))
    if not unread and not as_json:
        terminal.out.print(
            f"the topics are those of {opened.path}", markup=False, highlight=False, soft_wrap=True
        )
    raise typer.Exit(1 if unread else 0)
