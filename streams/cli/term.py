"""`kae term bind|release|list`: words that operations bind to items while everything runs."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kae.streams import console
from kae.streams.cli.options import BootstrapOption, JsonOption, ReplicaOption, TopologyOption
from kae.streams.errors import TermRefused
from kae.streams.local_run import open_topology, replica_address

if TYPE_CHECKING:
    from kae.streams.replica.receipts import Receipt

app = typer.Typer(no_args_is_help=True)

WordArgument = Annotated[str, typer.Argument(metavar="WORD", show_default=False)]
RevisionOption = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="Revision of the event; else the time in ms."),
]
WaitOption = Annotated[bool, typer.Option(help="Wait until every live replica has it.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0.1)]


@app.command()
def bind(
    word: WordArgument,
    match: Annotated[
        str, typer.Option(metavar="TEXT", help="Items whose title or description has this phrase.")
    ] = "",
    items: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Items named in a file, one id a line.")
    ] = None,
    where: Annotated[
        str, typer.Option(metavar="EXPR", help="""Items by their words: 'brand = "X"'.""")
    ] = "",
    category: Annotated[
        str, typer.Option(metavar="C", help="Category, which decides the position.")
    ] = "",
    alias: Annotated[list[str] | None, typer.Option(metavar="A", help="Another form.")] = None,
    owner: Annotated[str, typer.Option(metavar="NAME", help="Who answers for it.")] = "",
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why it is bound.")] = "",
    revision: RevisionOption = None,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    wait: WaitOption = True,
    timeout: TimeoutOption = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Bind a word to the items that --match, --items and --where select together."""
    from kae.encoders.selector import Selector, compile_selector
    from kae.encoders.text import normalise
    from kae.streams.events import BindData, SelectorData
    from kae.streams.replica.client import ReplicaClient
    from kae.streams.term_watch import publish_bind, watch
    from kae.streams.topics import check_topics

    opened = open_topology(topology, bootstrap)
    ids = _ids(items)
    if not (match or ids or where):
        raise TermRefused(f"{word!r}: no selector; give --match, --items or --where")
    # What the worker would refuse is refused here, before anything is published.
    compile_selector(Selector(match, tuple(ids), where))
    number = time.time_ns() // 1_000_000 if revision is None else revision
    data = BindData(
        revision=number,
        selector=SelectorData(match, ids, where),
        aliases=alias or [],
        category=category,
        owner=owner,
        reason=reason,
    )
    check_topics(opened)
    client = ReplicaClient(replica_address(opened, replica))
    if wait:
        # A replica that cannot be asked is found before anything is published.
        client.receipt(normalise(word))
    publish_bind(opened, word, data)
    if wait:
        receipt = watch(client, word, number, timeout)
        _print_receipt(receipt, as_json)
        if receipt.state == "bound" and not receipt.attached_items:
            console.print_warning(_no_item(receipt.term, match, where, ids))
    elif as_json:
        console.print_json({"term": word, "revision": number, "published": True})


@app.command()
def release(
    word: WordArgument,
    revision: RevisionOption = None,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    wait: WaitOption = True,
    timeout: TimeoutOption = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Release a word; its slot is free again after a quarantine."""
    from kae.encoders.text import normalise
    from kae.streams.replica.client import ReplicaClient
    from kae.streams.term_watch import publish_release, watch
    from kae.streams.topics import check_topics

    opened = open_topology(topology, bootstrap)
    number = time.time_ns() // 1_000_000 if revision is None else revision
    check_topics(opened)
    client = ReplicaClient(replica_address(opened, replica))
    if wait:
        client.receipt(normalise(word))
    publish_release(opened, word, number)
    if wait:
        _print_receipt(watch(client, word, number, timeout), as_json)
    elif as_json:
        console.print_json({"term": word, "revision": number, "published": True})


@app.command("list")
def list_terms(
    topology: TopologyOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the bound words, and the slots that are left."""
    from kae.streams.replica.client import ReplicaClient

    shown = ReplicaClient(replica_address(open_topology(topology), replica)).bindings()
    if as_json:
        console.print_json(shown)
        return
    console.print_table(
        "Terms",
        ("term", "category", "slot", "items", "match", "where", "owner", "reason"),
        (
            (
                b.term,
                b.category,
                f"{b.position}:{b.index}",
                b.attached_items,
                b.match,
                b.where,
                b.owner,
                b.reason,
            )
            for b in shown.active
        ),
    )
    console.print_table(
        "Reserved slots",
        ("position", "group", "reserved", "bound", "in quarantine", "free"),
        ((c.position, c.group, c.reserved, c.bound, c.quarantined, c.free) for c in shown.capacity),
    )


def _ids(file: Path | None) -> list[str]:
    if file is None:
        return []
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TermRefused(f"{file}: cannot be read: {error}; give one item id a line") from error
    ids = [line.strip() for line in text.splitlines() if line.strip()]
    if not ids:
        raise TermRefused(f"{file}: names no item; give one item id a line")
    return ids


def _no_item(term: str, match: str, where: str, ids: list[str]) -> str:
    given = [f"--match {match!r}"] * bool(match) + [f"--where {where!r}"] * bool(where)
    given += [f"--items ({len(ids)} ids)"] * bool(ids)
    return (
        f"{term!r}: no item matches {' and '.join(given)}, so no path leads there yet. The term "
        f"keeps its slot, and items that match later are attached; to take it back: "
        f"kae term release {term!r}"
    )


def _print_receipt(receipt: "Receipt", as_json: bool) -> None:
    if as_json:
        console.print_json(receipt)
        return
    began = receipt.stages[0].at_ms or 0
    console.print_table(
        f"{receipt.term}: {receipt.state}, {receipt.attached_items:,} items",
        ("stage", "reached", "by", "after ms"),
        (
            (
                stage.stage,
                stage.done,
                f"{stage.count}/{stage.of}",
                None if stage.at_ms is None else stage.at_ms - began,
            )
            for stage in receipt.stages
        ),
    )
