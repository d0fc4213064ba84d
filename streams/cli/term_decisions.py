"""`kae term proposals|approve|reject`: changes that wait for approval."""

from typing import Annotated

import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import BootstrapOption, JsonOption, ReplicaOption, TopologyOption
from kae.streams.cli.term_options import (
    ByOption,
    PlanItemsOption,
    PlanOption,
    TimeoutOption,
    plan_of,
    requester,
)
from kae.streams.local_run import open_topology, replica_address

app = typer.Typer()
KeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", show_default=False, help="A word, or campaign/NAME.")
]


@app.command()
def proposals(
    topology: TopologyOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the proposals that wait for approval."""
    from kae.streams.replica_api.client import ReplicaClient

    waiting = ReplicaClient(replica_address(open_topology(topology), replica)).bindings().proposals
    if as_json:
        terminal.print_json(waiting)
        return
    terminal.print_table(
        "Proposals",
        ("key", "kind", "revision", "by", "terms", "plan", "items"),
        (
            (p.key, p.kind, p.revision, p.by, len(p.terms), p.plan_hash, p.plan_items)
            for p in waiting
        ),
    )


@app.command()
def approve(
    key: KeyArgument,
    by: ByOption = "",
    plan: PlanOption = "",
    items_planned: PlanItemsOption = None,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    timeout: TimeoutOption = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Approve the proposal of somebody else; --plan is the hash of a preview made now."""
    from kae.streams.clock import now_ms
    from kae.streams.events.term_data import ApproveData
    from kae.streams.terms.publish import decide

    planned = plan_of(plan, items_planned)
    decided = decide(
        open_topology(topology, bootstrap),
        replica,
        key,
        lambda proposal: ApproveData(now_ms(), proposal, requester(by), planned),
        timeout,
    )
    _print(key, "approved", decided, as_json)


@app.command()
def reject(
    key: KeyArgument,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why.")] = "",
    by: ByOption = "",
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    timeout: TimeoutOption = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Reject a proposal."""
    from kae.streams.clock import now_ms
    from kae.streams.events.term_data import RejectData
    from kae.streams.terms.publish import decide

    decided = decide(
        open_topology(topology, bootstrap),
        replica,
        key,
        lambda proposal: RejectData(now_ms(), proposal, requester(by), reason),
        timeout,
    )
    _print(key, "rejected", decided, as_json)


def _print(key: str, verb: str, proposal: int, as_json: bool) -> None:
    if as_json:
        terminal.print_json({"key": key, verb: proposal})
        return
    terminal.print_table("Decided", ("key", "revision", "is"), [(key, proposal, verb)])
