"""`kae term capacity|promote`: how many slots are free, and which terms may leave theirs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import BootstrapOption, JsonOption, ReplicaOption, TopologyOption
from kae.streams.clock import now_ms, rfc3339
from kae.streams.local_run import open_topology, replica_address

if TYPE_CHECKING:
    from kae.streams.terms.capacity import Capacity
    from kae.streams.terms.promotion import Promotion


app = typer.Typer()


@app.command()
def capacity(
    days: Annotated[
        float, typer.Option(min=1, metavar="N", help="Days that the forecast looks back.")
    ] = 30,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the reserved slots of each group: free, in quarantine, when full, what to release."""
    from kae.streams.replica_api.client import ReplicaClient
    from kae.streams.terms.capacity import capacity_of
    from kae.streams.terms.history import BindingsHistory

    opened = open_topology(topology, bootstrap)
    bound = ReplicaClient(replica_address(opened, replica)).bindings().active
    found = capacity_of(
        BindingsHistory.read(opened),
        opened.codebook_groups,
        {one.term: one.attached_items for one in bound},
        now_ms(),
        days,
        opened.terms.quarantine_ms,
    )
    if as_json:
        terminal.print_json(found)
    else:
        _print_capacity(found)


@app.command()
def promote(
    min_items: Annotated[
        int, typer.Option(min=0, metavar="N", help="Items that a term must have at least.")
    ] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default=False, help="Write them there, for --candidates."
        ),
    ] = None,
    topology: TopologyOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the active words for the next codebook, those with most items first."""
    from kae.encoders.vocabulary.candidates import write_candidates
    from kae.streams.codebooks.opening import open_codebook
    from kae.streams.replica_api.client import ReplicaClient
    from kae.streams.terms.promotion import as_candidates, promotion_of

    opened = open_topology(topology)
    bound = ReplicaClient(replica_address(opened, replica)).bindings().active
    file = str(out) if out else None
    found = promotion_of(bound, open_codebook(opened), min_items, now_ms(), file)
    if out is not None:
        write_candidates(as_candidates(found.terms), out)
    if as_json:
        terminal.print_json(found)
    else:
        _print_promotion(found)


def _print_promotion(found: "Promotion") -> None:
    terminal.print_table(
        "For the next codebook",
        ("term", "category", "items", "days bound", "until", "owner", "reason"),
        (
            (
                one.term,
                one.category,
                one.items,
                one.days,
                one.until_ms and rfc3339(one.until_ms),
                one.owner,
                one.reason,
            )
            for one in found.terms
        ),
    )
    if found.passed_over:
        terminal.print_table(
            "Not for it", ("term", "why"), ((one.term, one.why) for one in found.passed_over)
        )
    if found.file:
        terminal.out.print(
            f"{found.file}: kae codebook fit CATALOG... --candidates {found.file} --out DIR",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _print_capacity(found: "Capacity") -> None:
    terminal.print_table(
        "Reserved slots",
        ("group", "categories", "free", "in quarantine", "until at least", "forecast"),
        (
            (
                one.group,
                ", ".join(one.categories),
                f"{one.free} of {one.reserved} free",
                one.quarantined,
                one.next_free_ms and rfc3339(one.next_free_ms),
                one.forecast,
            )
            for one in found.positions
        ),
    )
    terminal.print_table(
        "Candidates to release",
        ("group", "term", "why", "items", "until", "owner"),
        (
            (one.group, c.term, c.why, c.items, c.until_ms and rfc3339(c.until_ms), c.owner)
            for one in found.positions
            for c in one.candidates
        ),
    )
