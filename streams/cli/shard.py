"""`kae shard list|pause|resume|reset|refold`: shards in the hands of operations."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from kae.streams import console
from kae.streams.cli.options import BootstrapOption, JsonOption, ReplicaOption, TopologyOption
from kae.streams.cli.shard_asked import How, carry
from kae.streams.local_run import open_topology, replica_address

if TYPE_CHECKING:
    from kae.streams.replica.answers import ShardShown
    from kae.streams.shards.answers import ShardStanding
    from kae.streams.shards.plans import Target
    from kae.streams.topology import Topology

app = typer.Typer(no_args_is_help=True)

ShardsArgument = Annotated[list[int], typer.Argument(metavar="SHARD...", show_default=False)]
ReasonOption = Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who look later.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would happen; ask for nothing.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="How long to wait for it.")
]


@app.command("list")
def list_shards(
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who holds each shard, how far it is, whether it is paused, and what was asked last."""
    from kae.streams.shards.desk import open_desk
    from kae.streams.shards.standing import list_standing

    opened = open_topology(topology, bootstrap)
    with open_desk(opened) as desk:
        listed = list_standing(desk, _shown(opened, replica))
    if as_json:
        console.print_json(listed)
        return
    console.print_table(
        f"Shards of generation {listed.generation}",
        ("shard", "owner, epoch", "version", "next offset", "lag", "paused since", "last command"),
        map(_row, listed.shards),
    )


@app.command()
def pause(
    shards: ShardsArgument,
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    timeout: TimeoutOption = 30.0,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let shards index no items; terms are still attached to them, and they are still owned."""
    from kae.streams.control import Pause
    from kae.streams.shards.desk import open_desk

    with open_desk(open_topology(topology, bootstrap), shards) as desk:
        asked = [desk.sign(Pause, shard, reason) for shard in desk.shards]
        carry(desk, asked, desk.owners(), How("pause", dry_run, yes, timeout, as_json))


@app.command()
def resume(
    shards: ShardsArgument,
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    timeout: TimeoutOption = 30.0,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let paused shards go on, with the first item that they have not indexed."""
    from kae.streams.control import Resume
    from kae.streams.shards.desk import open_desk

    with open_desk(open_topology(topology, bootstrap), shards) as desk:
        asked = [desk.sign(Resume, shard, reason) for shard in desk.shards]
        carry(desk, asked, desk.owners(), How("resume", dry_run, yes, timeout, as_json))


@app.command()
def reset(
    shards: ShardsArgument,
    to_offset: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="From this offset of the items topic.")
    ] = None,
    to_time: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="From the first event since 2026-01-31T09:30Z, or 30m, 2h, 7d ago."
        ),
    ] = "",
    to_earliest: Annotated[
        bool, typer.Option("--to-earliest", help="From the first event that the topic holds.")
    ] = False,
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    timeout: TimeoutOption = 30.0,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let shards read their items again from an earlier place; what is not newer is stale."""
    from kae.streams.control import Reset
    from kae.streams.shards.desk import open_desk
    from kae.streams.shards.plans import plan_reset

    target = _target(to_offset, to_time, to_earliest)
    opened = open_topology(topology, bootstrap)
    with open_desk(opened, shards) as desk:
        planned = plan_reset(desk, _shown(opened, replica), target)
        asked = [desk.sign(Reset, p.shard, reason, to_offset=p.to_offset) for p in planned]
        carry(desk, asked, planned, How("reset", dry_run, yes, timeout, as_json))


@app.command()
def refold(
    shards: ShardsArgument,
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    timeout: TimeoutOption = 600.0,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the owners delete the shards' stores and fold them again from their logs."""
    from kae.streams.control import Refold
    from kae.streams.shards.desk import open_desk
    from kae.streams.shards.plans import plan_refold

    opened = open_topology(topology, bootstrap)
    with open_desk(opened, shards) as desk:
        planned = plan_refold(desk, _shown(opened, replica))
        asked = [desk.sign(Refold, p.shard, reason) for p in planned]
        carry(desk, asked, planned, How("refold", dry_run, yes, timeout, as_json))


def _shown(topology: "Topology", replica: str | None) -> "list[ShardShown]":
    from kae.streams.replica.client import ReplicaClient

    client = ReplicaClient(replica_address(topology, replica))
    return client.status(generation=topology.generation).shards


def _target(offset: int | None, at: str, earliest: bool) -> "Target":
    from kae.streams.moments import moment_ms
    from kae.streams.shards import plans

    if (offset is not None) + bool(at) + earliest != 1:
        raise typer.BadParameter("give one of --to-offset N, --to-time TIME and --to-earliest")
    if earliest:
        return plans.to_earliest
    if offset is not None:
        return plans.to_offset(offset)
    try:
        return plans.to_time(moment_ms(at, time.time_ns() // 1_000_000))
    except ValueError as error:
        raise typer.BadParameter(
            f"--to-time {at!r}: {error}; give 2026-01-31T09:30Z, or 30m, 2h or 7d ago as 7d"
        ) from error


def _minute(at: str) -> str:
    """A time as a narrow column has room for it, still in UTC."""
    return at[:16].replace("T", " ")


def _row(one: "ShardStanding") -> tuple[object, ...]:
    """More lines a shard where there is more to say, so that a table fits a terminal."""
    paused, last = "-", "-"
    if one.paused:
        paused = "paused"
        if one.pause is not None:
            paused = f"{_minute(one.pause.since)}\n{one.pause.by}\n{one.pause.reason}".rstrip()
    if one.last is not None:
        answer = one.last.answer
        outcome = f"{answer.outcome.value}: {answer.cause}".removesuffix(": ")
        last = f"{_minute(one.last.at)}\n{one.last.command}\n{outcome}"
    owner = "-" if one.owner is None else f"{one.owner}, {one.epoch}"
    return (one.shard, owner, one.version, one.next_offset, one.lag_events, paused, last)
