"""`kae item`: what is found in an item, and how it is indexed."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.tree import Tree

from kae.streams import console
from kae.streams.cli.options import JsonOption, ReplicaOption, TopologyOption
from kae.streams.local_run import open_topology, replica_address

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
        Path, typer.Option("--output", metavar="FILE", help="Where their attributes are written.")
    ],
    codebook: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            show_default=False,
            help="Codebook whose fields and words are used too; without it, fields by their names.",
        ),
    ] = None,
    tagger: Annotated[
        str,
        typer.Option(
            metavar="FOLDER",
            help=f"Tagger for titles: a folder, {NO_TAGGER!r}, or the one that kae carries.",
        ),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Find the attributes of items: category, word, the text as it stands in the input, source."""
    from kae.encoders.codebook import Codebook
    from kae.encoders.literal import LiteralExtractor
    from kae.encoders.tagger.tagger import Tagger
    from kae.encoders.tagger.weights import PACKAGED
    from kae.streams.item_lines import extract_lines, read_item_lines, write_lines

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
        console.print_json(report)
    else:
        console.out.print(f"{out}: {report.items:,} items, tagger {report.tagger}")


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
    put = "before the replica's snapshot"
    if shown.put is not None:
        put = f"by version {shown.put.version} at offset {shown.put.offset}"
    console.out.print(
        f"revision {shown.revision}, shard {shown.shard}, ordinal {shown.ordinal}, put {put}",
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
