"""`kae term alias|retarget|extend|add|exclude|pin`: changes of a bound word."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kae.streams.cli.options import BootstrapOption, JsonOption, ReplicaOption, TopologyOption
from kae.streams.cli.term_options import (
    ByOption,
    ForeverOption,
    ItemsOption,
    MatchOption,
    NoWaitOption,
    PlanItemsOption,
    PlanOption,
    RevisionOption,
    TimeoutOption,
    UntilOption,
    WaitFor,
    WaitOption,
    WhereOption,
    WordArgument,
    plan_of,
    publish_and_wait,
    requester,
    revision_of,
    selector_of,
    time_option,
)
from kae.streams.errors import TermRefused
from kae.streams.local_run import open_topology

if TYPE_CHECKING:
    from kae.streams.events.term_data import AdjustData

app = typer.Typer()
ItemsArgument = Annotated[list[str], typer.Argument(metavar="ITEM...", show_default=False)]
PinsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ITEM]...", show_default=False, help="Ids; without any, no item is pinned."
    ),
]


@app.command()
def alias(
    word: WordArgument,
    alias: Annotated[
        list[str] | None, typer.Option(metavar="A", help="Another form; without any, it has none.")
    ] = None,
    by: ByOption = "",
    plan: PlanOption = "",
    items_planned: PlanItemsOption = None,
    revision: RevisionOption = None,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    wait: WaitOption = WaitFor.EVERYWHERE,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Replace the other forms of a bound word; it keeps its slot."""
    from kae.streams.events.term_data import AliasData

    planned = plan_of(plan, items_planned)
    data = AliasData(revision_of(revision), alias or [], requester(by), planned)
    publish_and_wait(
        open_topology(topology, bootstrap),
        word,
        data,
        replica=replica,
        wait=None if no_wait else wait,
        timeout=timeout,
        as_json=as_json,
    )


@app.command()
def retarget(
    word: WordArgument,
    match: MatchOption = "",
    items: ItemsOption = None,
    where: WhereOption = "",
    by: ByOption = "",
    plan: PlanOption = "",
    items_planned: PlanItemsOption = None,
    revision: RevisionOption = None,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    wait: WaitOption = WaitFor.EVERYWHERE,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Replace the items of a bound word; the old ones stay until every shard has the new."""
    from kae.streams.events.term_data import RetargetData

    selector = selector_of(word, match, items, where)
    planned = plan_of(plan, items_planned)
    data = RetargetData(revision_of(revision), selector, requester(by), planned)
    publish_and_wait(
        open_topology(topology, bootstrap),
        word,
        data,
        replica=replica,
        wait=None if no_wait else wait,
        timeout=timeout,
        as_json=as_json,
    )


@app.command()
def extend(
    word: WordArgument,
    until: UntilOption = "",
    forever: ForeverOption = False,
    by: ByOption = "",
    revision: RevisionOption = None,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    wait: WaitOption = WaitFor.EVERYWHERE,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Move the end of a bound word, later or sooner."""
    from kae.streams.events.term_data import ExtendData

    if bool(until) == forever:
        raise TermRefused(f"{word!r}: give one of --until TIME and --forever")
    ends = None if forever else time_option("--until", until)
    data = ExtendData(revision_of(revision), ends, requester(by))
    publish_and_wait(
        open_topology(topology, bootstrap),
        word,
        data,
        replica=replica,
        wait=None if no_wait else wait,
        timeout=timeout,
        as_json=as_json,
    )


@app.command()
def add(
    word: WordArgument,
    items: ItemsArgument,
    by: ByOption = "",
    revision: RevisionOption = None,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    wait: WaitOption = WaitFor.EVERYWHERE,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Add items to a bound word, whatever its selector says about them."""
    from kae.streams.events.term_data import AdjustData

    data = AdjustData(revision_of(revision), add=items, by=requester(by))
    until = None if no_wait else wait
    _adjust(word, data, topology, bootstrap, replica, until, timeout, as_json)


@app.command()
def exclude(
    word: WordArgument,
    items: ItemsArgument,
    by: ByOption = "",
    revision: RevisionOption = None,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    wait: WaitOption = WaitFor.EVERYWHERE,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Exclude items from a bound word; `add` undoes it."""
    from kae.streams.events.term_data import AdjustData

    data = AdjustData(revision_of(revision), exclude=items, by=requester(by))
    until = None if no_wait else wait
    _adjust(word, data, topology, bootstrap, replica, until, timeout, as_json)


@app.command()
def pin(
    word: WordArgument,
    items: PinsArgument = None,
    by: ByOption = "",
    revision: RevisionOption = None,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    wait: WaitOption = WaitFor.EVERYWHERE,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Pin items to a bound word: exactly these come first, in this order."""
    from kae.streams.events.term_data import AdjustData

    data = AdjustData(revision_of(revision), pins=items or [], by=requester(by))
    until = None if no_wait else wait
    _adjust(word, data, topology, bootstrap, replica, until, timeout, as_json)


def _adjust(
    word: str,
    data: "AdjustData",
    topology: Path | None,
    bootstrap: str | None,
    replica: str | None,
    wait: WaitFor | None,
    timeout: float,
    as_json: bool,
) -> None:
    publish_and_wait(
        open_topology(topology, bootstrap),
        word,
        data,
        replica=replica,
        wait=wait,
        timeout=timeout,
        as_json=as_json,
    )
