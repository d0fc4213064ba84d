"""What `kae shard` does with a plan: show it, ask the user and the owners, tell what came of it.

`kae shard list|pause|resume|reset|refold`: shards in the hands of operations.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import BootstrapOption, JsonOption, ReplicaOption, TopologyOption
from kae.streams.errors import ShardRefused, ShardTimedOut
from kae.streams.local_run import open_topology, replica_address

if TYPE_CHECKING:
    from kae.streams.control.client import ControlClient, RequestPlan, ShardAnswered
    from kae.streams.control.records import Request
    from kae.streams.replica_api.status import ShardShown
    from kae.streams.shards.plans import ShardStanding, Target
    from kae.streams.topology.types import Topology


@dataclass(frozen=True, slots=True)
class How:
    """Which command this is, and how it was asked to go about it."""

    command: str
    dry_run: bool
    yes: bool
    timeout: float
    as_json: bool


def carry(
    desk: "ControlClient", asked: "Sequence[Request]", planned: "Sequence[RequestPlan]", how: How
) -> None:
    """Go from a plan to its end, unless it is refused or only a dry run.

    Raises: ShardRefused, before anything is asked or by an owner; ShardTimedOut.
    """
    from kae.streams.shards.plans import ShardReport

    answers: list[ShardAnswered] = []
    refused = [one.refused for one in planned if one.refused]
    if refused:
        if how.as_json:
            terminal.print_json(ShardReport(how.command, how.dry_run, list(planned), answers))
        raise ShardRefused("\n".join(refused))
    if not how.as_json:
        _print_plan(planned, how)
    if not how.dry_run:
        _confirm(len(planned), how)
        answers = desk.carry(asked, how.timeout)
    if how.as_json:
        terminal.print_json(ShardReport(how.command, how.dry_run, list(planned), answers))
    elif how.dry_run:
        terminal.out.print("dry run: nothing was asked for")
    else:
        _print_answers(answers, how)
    _conclude(desk, answers, how)


def _print_plan(planned: "Sequence[RequestPlan]", how: How) -> None:
    rows = [_planned_row(one) for one in planned]
    terminal.print_table(f"To {how.command}", list(rows[0]), (list(row.values()) for row in rows))


def _planned_row(one: "RequestPlan") -> dict[str, object]:
    from kae.streams.shards.plans import RefoldPlanned, ResetPlanned

    row: dict[str, object] = {"shard": one.shard, "owner": one.owner}
    if isinstance(one, ResetPlanned):
        age = one.to_age_seconds
        row |= {"from": one.from_offset, "to": one.to_offset, "events again": one.events_again}
        row |= {"since": one.to_at, "ago": None if age is None else _ago(age)}
    elif isinstance(one, RefoldPlanned):
        row |= {"version": one.version, "log records": one.log_records, "log bytes": one.log_bytes}
    return row


def _ago(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _confirm(count: int, how: How) -> None:
    what = f"{how.command} {count} shard{'s' if count > 1 else ''}"
    if how.yes:
        return
    if not sys.stdin.isatty():
        raise ShardRefused(
            f"would {what}; nothing was asked for: nobody can be asked here; give --yes"
        )
    typer.confirm(f"{what.capitalize()}?", abort=True, err=True)


def _print_answers(answers: "Sequence[ShardAnswered]", how: How) -> None:
    terminal.print_table(
        f"Asked to {how.command}",
        ("shard", "outcome", "by worker", "at version"),
        ((one.shard, one.outcome.value, one.worker, one.version) for one in answers),
    )


def _conclude(desk: "ControlClient", answers: "Sequence[ShardAnswered]", how: How) -> None:
    from kae.streams.control.client import RequestOutcome

    refused = [one.cause for one in answers if one.outcome is RequestOutcome.REFUSED]
    if refused:
        raise ShardRefused("\n".join(refused))
    silent = [one.shard for one in answers if one.outcome is RequestOutcome.OPEN]
    if silent:
        owners = ", ".join(f"{shard}: {desk.owner(shard)}" for shard in silent)
        raise ShardTimedOut(
            f"no answer in {how.timeout:g} s for shards of which these were the last owners: "
            f"{owners}. The request stays, and whoever holds the shard next carries it out: see "
            "that workers run (`kae worker run`), and look again with `kae shard list`"
        )


app = typer.Typer(no_args_is_help=True)
ShardsArgument = Annotated[list[int], typer.Argument(metavar="SHARD...", show_default=False)]
RequestReasonOption = Annotated[
    str, typer.Option(metavar="TEXT", help="Why, for those who look later.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would happen; ask for nothing.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
RequestTimeoutOption = Annotated[
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
    from kae.streams.control.client import open_control_client
    from kae.streams.shards.plans import list_standing

    opened = open_topology(topology, bootstrap)
    with open_control_client(opened) as desk:
        listed = list_standing(desk, _shown(opened, replica))
    if as_json:
        terminal.print_json(listed)
        return
    terminal.print_table(
        f"Shards of generation {listed.generation}",
        ("shard", "owner, epoch", "version", "next offset", "lag", "paused since", "last command"),
        map(_row, listed.shards),
    )


@app.command()
def pause(
    shards: ShardsArgument,
    reason: RequestReasonOption = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    timeout: RequestTimeoutOption = 30.0,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let shards index no items; terms are still attached to them, and they are still owned."""
    from kae.streams.control.client import open_control_client
    from kae.streams.control.records import Pause

    with open_control_client(open_topology(topology, bootstrap), shards) as desk:
        asked = [desk.sign(Pause, shard, reason) for shard in desk.shards]
        carry(desk, asked, desk.owners(), How("pause", dry_run, yes, timeout, as_json))


@app.command()
def resume(
    shards: ShardsArgument,
    reason: RequestReasonOption = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    timeout: RequestTimeoutOption = 30.0,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let paused shards go on, with the first item that they have not indexed."""
    from kae.streams.control.client import open_control_client
    from kae.streams.control.records import Resume

    with open_control_client(open_topology(topology, bootstrap), shards) as desk:
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
    reason: RequestReasonOption = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    timeout: RequestTimeoutOption = 30.0,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let shards read their items again from an earlier place; what is not newer is stale."""
    from kae.streams.control.client import open_control_client
    from kae.streams.control.records import Reset
    from kae.streams.shards.plans import plan_reset

    target = _target(to_offset, to_time, to_earliest)
    opened = open_topology(topology, bootstrap)
    with open_control_client(opened, shards) as desk:
        planned = plan_reset(desk, _shown(opened, replica), target)
        asked = [desk.sign(Reset, p.shard, reason, to_offset=p.to_offset) for p in planned]
        carry(desk, asked, planned, How("reset", dry_run, yes, timeout, as_json))


@app.command()
def refold(
    shards: ShardsArgument,
    reason: RequestReasonOption = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    timeout: RequestTimeoutOption = 600.0,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the owners delete the shards' stores and fold them again from their logs."""
    from kae.streams.control.client import open_control_client
    from kae.streams.control.records import Refold
    from kae.streams.shards.plans import plan_refold

    opened = open_topology(topology, bootstrap)
    with open_control_client(opened, shards) as desk:
        planned = plan_refold(desk, _shown(opened, replica))
        asked = [desk.sign(Refold, p.shard, reason) for p in planned]
        carry(desk, asked, planned, How("refold", dry_run, yes, timeout, as_json))


def _shown(topology: "Topology", replica: str | None) -> "list[ShardShown]":
    from kae.streams.replica_api.client import ReplicaClient

    client = ReplicaClient(replica_address(topology, replica))
    return client.status(generation=topology.generation).shards


def _target(offset: int | None, at: str, earliest: bool) -> "Target":
    from kae.streams.clock import parse_time_ms
    from kae.streams.shards import plans

    if (offset is not None) + bool(at) + earliest != 1:
        raise typer.BadParameter("give one of --to-offset N, --to-time TIME and --to-earliest")
    if earliest:
        return plans.to_earliest
    if offset is not None:
        return plans.to_offset(offset)
    try:
        return plans.to_time(parse_time_ms(at, time.time_ns() // 1_000_000))
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
