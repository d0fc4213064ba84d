"""`kae term capacity`: how much room the reserved slots have, and whose slot may go."""

from typing import TYPE_CHECKING, Annotated

import typer

from kae.streams import console
from kae.streams.cli.options import BootstrapOption, JsonOption, ReplicaOption, TopologyOption
from kae.streams.local_run import open_topology, replica_address
from kae.streams.moments import now_ms, shown

if TYPE_CHECKING:
    from kae.streams.slot_capacity import Capacity

app = typer.Typer()


@app.command()
def capacity(
    days: Annotated[
        float, typer.Option(min=1, metavar="N", help="Days that the forecast looks back on.")
    ] = 30,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the reserved slots of each group: free, in quarantine, when full, and what may go."""
    from kae.streams.replica.client import ReplicaClient
    from kae.streams.slot_capacity import capacity_of
    from kae.streams.term_history import Past

    opened = open_topology(topology, bootstrap)
    bound = ReplicaClient(replica_address(opened, replica)).bindings().active
    found = capacity_of(
        Past.read(opened),
        opened.codebook_groups,
        {one.term: one.attached_items for one in bound},
        now_ms(),
        days,
        opened.terms.quarantine_ms,
    )
    if as_json:
        console.print_json(found)
    else:
        _print(found)


def _print(found: "Capacity") -> None:
    console.print_table(
        "Reserved slots",
        ("group", "categories", "free", "in quarantine", "until at least", "forecast"),
        (
            (
                one.group,
                ", ".join(one.categories),
                f"{one.free} of {one.reserved} free",
                one.quarantined,
                one.next_free_ms and shown(one.next_free_ms),
                one.forecast,
            )
            for one in found.positions
        ),
    )
    console.print_table(
        "Candidates to release",
        ("group", "term", "why", "items", "until", "owner"),
        (
            (one.group, c.term, c.why, c.items, c.until_ms and shown(c.until_ms), c.owner)
            for one in found.positions
            for c in one.candidates
        ),
    )
