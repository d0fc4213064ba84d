"""`kae campaign bind|release|show`: many terms that appear, and disappear, as one."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import BootstrapOption, JsonOption, ReplicaOption, TopologyOption
from kae.streams.cli.term_options import (
    ByOption,
    ForeverOption,
    FromOption,
    NoWaitOption,
    PlanItemsOption,
    PlanOption,
    RevisionOption,
    TimeoutOption,
    UntilOption,
    plan_of,
    requester,
    revision_of,
    validity,
)
from kae.streams.errors import TermRefused, TermTimedOut
from kae.streams.local_run import open_topology, replica_address

if TYPE_CHECKING:
    from kae.streams.events.term_data import CampaignTerm
    from kae.streams.replica_api.answers import BindingShown
    from kae.streams.replica_api.client import ReplicaClient


app = typer.Typer(no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
LOOK_EVERY_SECONDS = 0.1


@app.command()
def bind(
    name: NameArgument,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", show_default=False, help="Terms in JSON or YAML."),
    ],
    owner: Annotated[str, typer.Option(metavar="NAME", help="Who is responsible for it.")] = "",
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why it is bound.")] = "",
    from_: FromOption = "",
    until: UntilOption = "",
    forever: ForeverOption = False,
    by: ByOption = "",
    plan: PlanOption = "",
    items_planned: PlanItemsOption = None,
    revision: RevisionOption = None,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Bind all terms of a file as one.

    The tagger chooses the category of a term without one, as for `kae term bind`.
    """
    from kae.streams.events.term_data import CampaignData
    from kae.streams.replica_api.client import ReplicaClient
    from kae.streams.terms.publish import publish

    opened = open_topology(topology, bootstrap)
    begins, ends = validity(from_, until, forever)
    data = CampaignData(
        revision=revision_of(revision),
        terms=_categorised(_terms(file), opened.terms.default_category),
        owner=owner,
        reason=reason,
        from_=begins,
        until=ends,
        by=requester(by),
        plan=plan_of(plan, items_planned),
    )
    publish(opened, name, data)
    if no_wait:
        return
    client = ReplicaClient(replica_address(opened, replica))

    def is_visible() -> bool:
        _refuse_refused(client, name, data.revision)
        if any(one.key == _key(name) for one in client.bindings().proposals):
            return True
        members = _members(client, name)
        return len(members) == len(data.terms) and not _unready(members)

    _wait(name, is_visible, lambda: _progress(_members(client, name), client), timeout)
    _print(client, name, as_json)


@app.command()
def release(
    name: NameArgument,
    by: ByOption = "",
    revision: RevisionOption = None,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Release all terms of a campaign as one."""
    from kae.streams.events.term_data import CampaignReleaseData
    from kae.streams.replica_api.client import ReplicaClient
    from kae.streams.terms.publish import publish

    opened = open_topology(topology, bootstrap)
    data = CampaignReleaseData(revision_of(revision), requester(by))
    publish(opened, name, data)
    if no_wait:
        return
    client = ReplicaClient(replica_address(opened, replica))

    def is_gone() -> bool:
        _refuse_refused(client, name, data.revision)
        return not _members(client, name)

    _wait(name, is_gone, lambda: f"{len(_members(client, name))} terms are still bound", timeout)
    _print(client, name, as_json)


@app.command()
def show(
    name: NameArgument,
    topology: TopologyOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the terms of a campaign, and how far each is."""
    from kae.streams.replica_api.client import ReplicaClient

    _print(ReplicaClient(replica_address(open_topology(topology), replica)), name, as_json)


def _terms(file: Path) -> "list[CampaignTerm]":
    """Raises: TermRefused."""
    import msgspec

    from kae.streams.events.term_data import CampaignTerm

    try:
        return msgspec.yaml.decode(file.read_bytes(), type=list[CampaignTerm])
    except (OSError, msgspec.DecodeError) as error:
        raise TermRefused(
            f"{file}: no campaign: {error}; give a list of word, selector, aliases, category"
        ) from error


def _categorised(terms: "list[CampaignTerm]", default: str) -> "list[CampaignTerm]":
    from msgspec.structs import replace

    from kae.streams.terms.category import choose_category

    return [
        replace(term, category=choose_category(term.word, term.category, default).category)
        for term in terms
    ]


def _key(name: str) -> str:
    from kae.encoders.text.normal_form import normalise
    from kae.sinks.log.term_changes import campaign_key

    return campaign_key(normalise(name))


def _members(client: "ReplicaClient", name: str) -> "list[BindingShown]":
    wanted = _key(name).partition("/")[2]
    return [one for one in client.bindings().active if one.campaign == wanted]


def _refuse_refused(client: "ReplicaClient", name: str, revision: int) -> None:
    receipt = client.receipt(_key(name))
    if receipt and receipt.refused and receipt.refused.revision == revision:
        raise TermRefused(receipt.refused.cause)


def _unready(members: "list[BindingShown]") -> "list[BindingShown]":
    return [one for one in members if one.state not in {"active", "scheduled"}]


def _wait(
    name: str, is_done: Callable[[], bool], progress: Callable[[], str], seconds: float
) -> None:
    deadline = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > deadline:
            raise TermTimedOut(
                f"campaign {name!r}: {progress()} after {seconds:g} s; "
                f"kae campaign show {name} shows how far it is, kae status which shard or "
                "replica lags"
            )
        time.sleep(LOOK_EVERY_SECONDS)


def _progress(members: "list[BindingShown]", client: "ReplicaClient") -> str:
    """How far a campaign is, and what it waits for, which is the same for all of its terms."""
    if not members:
        return "not registered by the worker with the terms partition"
    unready = _unready(members)
    done = f"{len(members) - len(unready)} of {len(members)} terms are ready"
    receipt = client.receipt(unready[0].term) if unready else None
    for stage in receipt.stages if receipt else ():
        if stage.missing:
            return f"{done}, {unready[0].term!r} is not {stage.stage} by {', '.join(stage.missing)}"
    return done


def _print(client: "ReplicaClient", name: str, as_json: bool) -> None:
    members = _members(client, name)
    if as_json:
        terminal.print_json(members)
        return
    terminal.print_table(
        f"Campaign {name}: {len(members)} terms",
        ("term", "state", "items", "match", "where"),
        ((one.term, one.state, one.attached_items, one.match, one.where) for one in members),
    )
