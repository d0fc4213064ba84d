"""`kae term preview`: what binding a word would do, before anything happens."""

import shlex
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import JsonOption, ReplicaOption, TopologyOption
from kae.streams.cli.term_options import (
    AliasOption,
    ByOption,
    CategoryOption,
    ForeverOption,
    FromOption,
    ItemsOption,
    MatchOption,
    OwnerOption,
    ReasonOption,
    ReplaceOption,
    UntilOption,
    WhereOption,
    WordArgument,
    requester,
    selector_of,
    validity,
)
from kae.streams.clock import now_ms, rfc3339
from kae.streams.local_run import open_topology, replica_address
from kae.streams.terms.category import CategoryChoice, choose_category

if TYPE_CHECKING:
    from kae.streams.replica_api.terms import Plan, Previewed


app = typer.Typer()
QueryOption = Annotated[
    str, typer.Option(metavar="Q", help="Show what a search finds now and with the term.")
]
# The parameters that `kae term bind` does not have as options.
NOT_OF_BIND = ("word", "query", "as_json")


class TermPreview(msgspec.Struct, frozen=True):
    """What `kae term preview --json` prints; `command` binds what was previewed."""

    previewed: "Previewed"
    chosen: CategoryChoice
    command: str


@app.command("preview-proposed")
def preview_proposed(
    word: WordArgument,
    query: QueryOption = "",
    topology: TopologyOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the proposed bind of a word would do now, and the command that approves it."""
    from kae.streams.replica_api.client import ReplicaClient

    client = ReplicaClient(replica_address(open_topology(topology), replica))
    previewed = client.preview_proposed(word, query)
    approve = ["kae", "term", "approve", word, *_planned(previewed.plan)]
    chosen = CategoryChoice(previewed.category, "given")
    _show(TermPreview(previewed, chosen, shlex.join(approve)), as_json)


@app.command()
def preview(
    context: typer.Context,
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
    replace: ReplaceOption = False,
    query: QueryOption = "",
    topology: TopologyOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what binding a word would do, and the command that does it; nothing is changed.

    Without --category the tagger chooses it, and the preview says how sure it is.
    """
    from kae.streams.events.term_data import BindData
    from kae.streams.events.terms import encode_term
    from kae.streams.replica_api.client import ReplicaClient

    opened = open_topology(topology)
    selector = selector_of(word, match, items, where)
    begins, ends = validity(from_, until, forever)
    chosen = choose_category(word, category, opened.terms.default_category)
    data = BindData(
        revision=now_ms(),
        selector=selector,
        aliases=alias or [],
        category=chosen.category,
        owner=owner,
        reason=reason,
        from_=begins,
        until=ends,
        by=requester(by),
        replace=replace,
    )
    client = ReplicaClient(replica_address(opened, replica))
    previewed = client.preview(encode_term(word, data, "/kae/cli"), query)
    command = _command(context, chosen, previewed.plan)
    _show(TermPreview(previewed, chosen, command), as_json)


def _command(context: typer.Context, chosen: CategoryChoice, plan: "Plan") -> str:
    """The shell command that binds what was previewed."""
    given = {**context.params, "category": chosen.category}
    words = ["kae", "term", "bind", given["word"]]
    for option in context.command.params:
        value = given[option.name or ""]
        if option.name in NOT_OF_BIND or not value:
            continue
        if value is True:
            words.append(option.opts[0])
            continue
        each = value if isinstance(value, list | tuple) else [value]
        words += [word for one in each for word in (option.opts[0], str(one))]
    return shlex.join([*words, *_planned(plan)])


def _planned(plan: "Plan") -> list[str]:
    return ["--plan", plan.hash, "--items-planned", str(plan.items)]


def _show(preview: TermPreview, as_json: bool) -> None:
    if as_json:
        terminal.print_json(preview)
    else:
        _print(preview)


def _print(preview: TermPreview) -> None:
    previewed = preview.previewed
    _print_outcome(previewed, preview.chosen)
    terminal.print_table(
        "The items, by position",
        ("group", "items with a word", "most frequent"),
        (
            (group.group, group.items, ", ".join(f"{w.word} ({w.items:,})" for w in group.words))
            for group in previewed.groups
        ),
    )
    terminal.print_table(
        f"By brand: {previewed.brands_in_all:,}",
        ("brand", "items"),
        ((brand.word, brand.items) for brand in previewed.brands),
    )
    terminal.print_table(
        f"{len(previewed.sample)} of {previewed.items:,} items",
        ("id", "title"),
        ((item.id, item.title) for item in previewed.sample),
    )
    if previewed.search:
        terminal.print_table(
            f"A search for {previewed.search.query!r}",
            ("", "finds now", "would find"),
            (
                (place, *(f"{hit.id}  {hit.title}" if hit else "" for hit in hits))
                for place, hits in enumerate(
                    zip_longest(previewed.search.now, previewed.search.then), 1
                )
            ),
        )
    for collision in previewed.collisions:
        terminal.print_warning(collision.summary())
    if previewed.refused is not None:
        terminal.print_warning(f"it would be refused: {previewed.refused}")
        return
    if not previewed.items:
        terminal.print_warning("no item matches, so no path would lead there yet")
    terminal.out.print(preview.command, markup=False, highlight=False, soft_wrap=True)


def _print_outcome(previewed: "Previewed", chosen: CategoryChoice) -> None:
    room, size, plan = previewed.room, previewed.size, previewed.plan
    terminal.print_table(
        f"{previewed.term}: what binding it would do",
        ("what", "would be"),
        (
            ("items attached", previewed.items),
            ("identifiers created", previewed.identifiers),
            ("category", chosen.describe()),
            ("position", room.group),
            ("reserved slots", f"{room.free} of {room.reserved} free, takes {room.needed}"),
            ("from", previewed.from_ms and rfc3339(previewed.from_ms)),
            ("until", previewed.until_ms and rfc3339(previewed.until_ms)),
            ("waits for approval", previewed.awaits_approval),
            ("event", f"{size.event_bytes:,} of {size.event_bytes_most:,} bytes"),
            ("plan", plan.hash),
            ("may differ by", f"{plan.tolerance_percent:g} % of the items"),
        ),
    )
