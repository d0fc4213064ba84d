"""`kae term bind|release|list`, and the table of all `kae term` commands."""

from typing import Annotated

import typer

from kae.streams.cli import (
    term_changes,
    term_decisions,
    term_history,
    term_import,
    term_preview,
    term_slots,
    terminal,
)
from kae.streams.cli.options import BootstrapOption, JsonOption, ReplicaOption, TopologyOption
from kae.streams.cli.term_options import (
    AliasOption,
    ByOption,
    CategoryOption,
    ForeverOption,
    FromOption,
    ItemsOption,
    MatchOption,
    NoWaitOption,
    OwnerOption,
    PlanItemsOption,
    PlanOption,
    ReasonOption,
    ReplaceOption,
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
    validity,
)
from kae.streams.clock import rfc3339
from kae.streams.local_run import open_topology, replica_address

app = typer.Typer(no_args_is_help=True)
for verbs in (
    term_preview,
    term_import,
    term_changes,
    term_decisions,
    term_history,
    term_slots,
):
    app.registered_commands.extend(verbs.app.registered_commands)


@app.command()
def bind(
    word: WordArgument,
    match: MatchOption = "",
    items: ItemsOption = None,
    where: WhereOption = "",
    category: CategoryOption = "",
    alias: AliasOption = None,
    owner: OwnerOption = "",
    reason: ReasonOption = "",
    from_: FromOption = "",
    until: UntilOption = "",
    forever: ForeverOption = False,
    by: ByOption = "",
    plan: PlanOption = "",
    items_planned: PlanItemsOption = None,
    replace: ReplaceOption = False,
    revision: RevisionOption = None,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    wait: WaitOption = WaitFor.EVERYWHERE,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Bind a word to the items that --match, --items and --where select together.

    Without --category the tagger chooses it, as for a preview.
    """
    from kae.streams.events.term_data import BindData
    from kae.streams.terms.category import choose_category

    opened = open_topology(topology, bootstrap)
    selector = selector_of(word, match, items, where)
    begins, ends = validity(from_, until, forever)
    chosen = choose_category(word, category, opened.terms.default_category)
    data = BindData(
        revision=revision_of(revision),
        selector=selector,
        aliases=alias or [],
        category=chosen.category,
        owner=owner,
        reason=reason,
        from_=begins,
        until=ends,
        by=requester(by),
        plan=plan_of(plan, items_planned),
        replace=replace,
    )
    receipt = publish_and_wait(
        opened,
        word,
        data,
        replica=replica,
        wait=None if no_wait else wait,
        timeout=timeout,
        as_json=as_json,
    )
    if not as_json:
        terminal.out.print(f"category: {chosen.describe()}", markup=False, highlight=False)
    if receipt is not None and receipt.state == "bound" and not receipt.attached_items:
        terminal.print_warning(_no_item(receipt.term, match, where, selector.items))


@app.command()
def release(
    word: WordArgument,
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
    """Release a word; its slot is free after a quarantine."""
    from kae.streams.events.term_data import ReleaseData

    data = ReleaseData(revision_of(revision), requester(by))
    publish_and_wait(
        open_topology(topology, bootstrap),
        word,
        data,
        replica=replica,
        wait=None if no_wait else wait,
        timeout=timeout,
        as_json=as_json,
    )


@app.command("list")
def list_terms(
    at: Annotated[
        str, typer.Option(metavar="TIME", help="List what was in force then, from the log.")
    ] = "",
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the bound words, and the free slots of each group."""
    from kae.streams.replica_api.client import ReplicaClient

    if at:
        at_ms = int(time_option("--at", at).timestamp() * 1000)
        term_history.print_terms(open_topology(topology, bootstrap), at_ms, as_json)
        return
    shown = ReplicaClient(replica_address(open_topology(topology), replica)).bindings()
    if as_json:
        terminal.print_json(shown)
        return
    terminal.print_table(
        "Terms",
        (
            "term",
            "state",
            "until",
            "category",
            "items",
            "match",
            "where",
            "single items",
            "owner",
            "reason",
        ),
        (
            (
                b.term,
                b.state,
                b.until_ms and rfc3339(b.until_ms),
                b.category,
                b.attached_items,
                b.match,
                b.where,
                f"+{b.plus} -{b.minus}, {len(b.pins)} pinned",
                b.owner,
                b.reason,
            )
            for b in shown.active
        ),
    )
    terminal.print_table(
        "Reserved slots",
        ("group", "free", "in quarantine"),
        ((c.group, f"{c.free} of {c.reserved} free", c.quarantined) for c in shown.capacity),
    )


def _no_item(term: str, match: str, where: str, ids: list[str]) -> str:
    given = [f"--match {match!r}"] * bool(match) + [f"--where {where!r}"] * bool(where)
    given += [f"--items ({len(ids)} ids)"] * bool(ids)
    return (
        f"{term!r}: no item matches {' and '.join(given)}, so no path leads there yet. The term "
        f"keeps its slot, and items that match later are attached; to take it back: "
        f"kae term release {term!r}"
    )
