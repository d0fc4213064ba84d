"""`kae item extract | explain`: the attributes of an item, and how it is indexed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.tree import Tree

from kae.streams.cli import terminal
from kae.streams.cli.options import BootstrapOption, JsonOption, ReplicaOption, TopologyOption
from kae.streams.local_run import open_topology, replica_address

if TYPE_CHECKING:
    from kae.streams.replica.item_history import ItemAtTime
    from kae.streams.replica_api.answers import AttributeShown


app = typer.Typer(no_args_is_help=True)
NO_TAGGER = "none"


class ItemsExtracted(msgspec.Struct, frozen=True):
    """What `kae item extract --json` prints."""

    output: str
    items: int
    codebook: str  # its fingerprint, or none
    tagger: str  # its fingerprint, or none


@app.callback()
def item() -> None:
    """Extract attributes from items; explain how an item is indexed."""


@app.command()
def extract(
    source: Annotated[
        Path,
        typer.Option("--input", metavar="FILE", help="Items, one JSON object a line."),
    ],
    out: Annotated[
        Path, typer.Option("--output", metavar="FILE", help="File for their attributes.")
    ],
    codebook: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            show_default=False,
            help="Codebook whose mapping and words to use; without it, fields count by name.",
        ),
    ] = None,
    tagger: Annotated[
        str,
        typer.Option(
            metavar="FOLDER",
            help=f"Tagger for titles: a folder, {NO_TAGGER!r}, or by default the packaged one.",
        ),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Find the attributes of items: category, word, the text as it stands in the input, source."""
    from kae.encoders.codebook.codebook import Codebook
    from kae.encoders.extraction.literal import LiteralExtractor
    from kae.encoders.tagger.tagger import Tagger
    from kae.encoders.tagger.weights import PACKAGED
    from kae.streams.catalog.item_lines import extract_lines, read_item_lines, write_lines

    used = Codebook.load(codebook) if codebook else None
    reader = None if tagger == NO_TAGGER else Tagger(Path(tagger) if tagger else PACKAGED)
    lines = extract_lines(read_item_lines(source), LiteralExtractor(used, reader))
    report = ItemsExtracted(
        output=str(out),
        items=write_lines(lines, out),
        codebook=used.fingerprint if used else NO_TAGGER,
        tagger=reader.fingerprint if reader else NO_TAGGER,
    )
    if as_json:
        terminal.print_json(report)
    else:
        terminal.out.print(f"{out}: {report.items:,} items, tagger {report.tagger}")


@app.command()
def explain(
    item_id: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
    at: Annotated[
        str, typer.Option(metavar="TIME", help="As it was at that time, from the logs.")
    ] = "",
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show an item's attributes with provenance and every path that leads to it."""
    from kae.streams.replica_api.client import ReplicaClient

    if at:
        _explain_then(item_id, at, topology, bootstrap, as_json)
        return
    shown = ReplicaClient(replica_address(open_topology(topology), replica)).item(item_id)
    if as_json:
        terminal.print_json(shown)
        return
    terminal.out.print(f"[bold]{shown.id}[/]", shown.title, highlight=False)
    put = "before the replica's snapshot"
    if shown.put is not None:
        put = f"by version {shown.put.version} at offset {shown.put.offset}"
    terminal.out.print(
        f"revision {shown.revision}, shard {shown.shard}, ordinal {shown.ordinal}, put {put}",
        style="dim",
        highlight=False,
    )
    _print_attributes(shown.attributes)
    tree = Tree("[bold]Paths[/]")
    for path in shown.paths:
        words = "  ".join(word or "·" for word in path.words)
        via = f"[cyan]{path.term}[/]" if path.term else "its own"
        at = f" [dim]attached by version {path.attached.version}[/]" if path.attached else ""
        tree.add(f"{via}: {words}{at}", highlight=False)
    terminal.out.print(tree)


def _print_attributes(attributes: list["AttributeShown"]) -> None:
    terminal.print_table(
        "Attributes",
        ("category", "word", "found as", "source", "score", "has a slot"),
        ((a.category, a.word, a.text, a.source, a.score, a.slot is not None) for a in attributes),
    )


def _explain_then(
    item_id: str, at: str, topology: Path | None, bootstrap: str | None, as_json: bool
) -> None:
    from kae.streams.cli.term_options import time_option
    from kae.streams.replica.item_history import explain_item_at

    at_ms = int(time_option("--at", at).timestamp() * 1000)
    then = explain_item_at(open_topology(topology, bootstrap), item_id, at_ms)
    if as_json:
        terminal.print_json(then)
        return
    _print_then(then)


def _print_then(then: "ItemAtTime") -> None:
    from kae.streams.clock import rfc3339

    since = "before the snapshot that reading began with"
    if then.since is not None:
        where = f"version {then.since.version} at offset {then.since.offset}"
        since = f"by {where}, {rfc3339(then.since.at_ms)}"
    verb = "put" if then.live else "dropped"
    terminal.out.print(f"[bold]{then.id}[/] at {rfc3339(then.at_ms)}", then.title, highlight=False)
    terminal.out.print(
        f"revision {then.revision}, shard {then.shard} at version {then.version}, {verb} {since}",
        style="dim",
        highlight=False,
    )
    if not then.live:
        return
    own = "  ".join(word or "·" for word in then.identifier)
    terminal.out.print(f"its own: {own}", highlight=False, markup=False)
    _print_attributes(then.attributes)
    terminal.print_table(
        "Terms",
        ("term", "state", "path", "why", "attached", "owner", "reason"),
        (
            (
                term.term,
                term.state,
                "  ".join(word or "·" for word in term.path),
                term.why,
                term.since and rfc3339(term.since.at_ms),
                term.owner,
                term.reason,
            )
            for term in then.terms
        ),
    )
