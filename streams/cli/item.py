"""`kae item explain`: how an item is indexed."""

from typing import Annotated

import typer
from rich.tree import Tree

from kae.streams import console
from kae.streams.cli.options import JsonOption, ReplicaOption, TopologyOption
from kae.streams.local_run import open_topology, replica_address

app = typer.Typer(no_args_is_help=True)


@app.callback()
def item() -> None:
    """Explain how an item is indexed."""


@app.command()
def explain(
    item_id: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
    topology: TopologyOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show an item's attributes with provenance and every path that leads to it."""
    from kae.streams.replica.client import ReplicaClient

    shown = ReplicaClient(replica_address(open_topology(topology), replica)).item(item_id)
    if as_json:
        console.print_json(shown)
        return
    console.out.print(f"[bold]{shown.id}[/]", shown.title, highlight=False)
    console.out.print(
        f"revision {shown.revision}, shard {shown.shard}, ordinal {shown.ordinal}, put by version "
        f"{shown.put.version} at offset {shown.put.offset}",
        style="dim",
        highlight=False,
    )
    console.print_table(
        "Attributes",
        ("category", "word", "found as", "source", "score", "slot"),
        (
            (
                a.category,
                a.word,
                a.text,
                a.source,
                a.score,
                f"{a.slot[0]}:{a.slot[1]}" if a.slot else None,
            )
            for a in shown.attributes
        ),
    )
    tree = Tree("[bold]Paths[/]")
    for path in shown.paths:
        words = "  ".join(word or "·" for word in path.words)
        via = f"[cyan]{path.term}[/]" if path.term else "its own"
        at = f" [dim]attached by version {path.attached.version}[/]" if path.attached else ""
        tree.add(f"{via}: {words}{at}", highlight=False)
    console.out.print(tree)
