"""`kae shard list|pause|resume|reset|refold`: requests to the owners of shards."""

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
    from kae.streams.control.client import ControlClient, RequestAnswerShown, RequestPlan
    from kae.streams.control.records import Request
    from kae.streams.replica_api.status import ShardShown
    from kae.streams.shards.listing import ShardListed
    from kae.streams.shards.plans import ResetTarget
    from kae.streams.topology.types import Topology


app = typer.Typer(no_args_is_help=True)
ShardsArgument = Annotated[list[int], typer.Argument(metavar="SHARD...", show_default=False)]
RequestReasonOption = Annotated[
    str, typer.Option(metavar="TEXT", help="Why, kept with the request.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would happen; request nothing.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
RequestTimeoutOption = Annotated[
    float,
    typer.Option("--timeout", metavar="SECONDS", min=0.1, help="How long to wait for the answers."),
]


@app.command("list")
def list_all(
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the shards: owner, position, lag, pause, and the last request."""
    from kae.streams.replica_api.client import ReplicaClient
    from kae.streams.shards.listing import list_shards

    opened = open_topology(topology, bootstrap)
    listed = list_shards(opened, ReplicaClient(replica_address(opened, replica)))
    if as_json:
        terminal.print_json(listed)
    else:
        terminal.print_table(
            f"Shards of generation {listed.generation}",
            (
                "shard", "owner, epoch", "version", "next offset", "lag", "paused since",
                "last command",
            ),
            map(_row, listed.shards),
        )  # fmt: skip
        terminal.print_unasked(listed.unasked)
    if listed.unasked:
        raise typer.Exit(1)


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
    """Stop shards from indexing items; they keep their owners, and terms are still attached."""
    from kae.streams.control.client import open_control_client
    from kae.streams.control.records import Pause

    with open_control_client(open_topology(topology, bootstrap), shards) as client:
        requests = [client.request(Pause, shard, reason) for shard in client.shards]
        _carry_out(
            client,
            requests,
            client.plan_requests(),
            ShardCommand("pause", dry_run, yes, timeout, as_json),
        )


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
    """Let paused shards go on with the first item that they have not indexed."""
    from kae.streams.control.client import open_control_client
    from kae.streams.control.records import Resume

    with open_control_client(open_topology(topology, bootstrap), shards) as client:
        requests = [client.request(Resume, shard, reason) for shard in client.shards]
        _carry_out(
            client,
            requests,
            client.plan_requests(),
            ShardCommand("resume", dry_run, yes, timeout, as_json),
        )


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
        bool, typer.Option("--to-earliest", help="From the first event that the topic still holds.")
    ] = False,
    accept_loss: Annotated[
        bool,
        typer.Option(
            "--accept-loss", help="Go on beyond events that are gone unread; they count as lost."
        ),
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
    """Let shards read their items again from an earlier offset; what is not newer is stale."""
    from kae.streams.control.client import open_control_client
    from kae.streams.control.records import Reset
    from kae.streams.shards.plans import plan_reset

    target = _target(to_offset, to_time, to_earliest)
    opened = open_topology(topology, bootstrap)
    with open_control_client(opened, shards) as client:
        plans = plan_reset(client, _shown(opened, replica), target, accept_loss=accept_loss)
        requests = [
            client.request(Reset, p.shard, reason, to_offset=p.to_offset, accept_loss=accept_loss)
            for p in plans
        ]
        _carry_out(client, requests, plans, ShardCommand("reset", dry_run, yes, timeout, as_json))


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
    with open_control_client(opened, shards) as client:
        plans = plan_refold(client, _shown(opened, replica))
        requests = [client.request(Refold, p.shard, reason) for p in plans]
        _carry_out(client, requests, plans, ShardCommand("refold", dry_run, yes, timeout, as_json))


@dataclass(frozen=True, slots=True)
class ShardCommand:
    """A command that sends requests, and its options."""

    name: str
    dry_run: bool
    yes: bool
    timeout: float
    as_json: bool


def _carry_out(
    client: "ControlClient",
    requests: "Sequence[Request]",
    plans: "Sequence[RequestPlan]",
    command: ShardCommand,
) -> None:
    """Show the plans, ask the user, send the requests and show the answers.

    Raises: ShardRefused, when a plan or an owner refuses; ShardTimedOut.
    """
    from kae.streams.shards.plans import ShardReport

    answers: list[RequestAnswerShown] = []
    refused = [one.refused for one in plans if one.refused]
    if refused:
        if command.as_json:
            terminal.print_json(ShardReport(command.name, command.dry_run, list(plans), answers))
        raise ShardRefused("\n".join(refused))
    if not command.as_json:
        _print_plan(plans, command)
    if not command.dry_run:
        _confirm(len(plans), command)
        answers = client.answers(requests, command.timeout)
    if command.as_json:
        terminal.print_json(ShardReport(command.name, command.dry_run, list(plans), answers))
    elif command.dry_run:
        terminal.out.print("dry run: nothing was requested")
    else:
        _print_answers(answers, command)
    _conclude(client, answers, command)


def _print_plan(plans: "Sequence[RequestPlan]", command: ShardCommand) -> None:
    rows = [_plan_row(one) for one in plans]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    terminal.print_table(
        f"To {command.name}", columns, ([row.get(name) for name in columns] for row in rows)
    )


def _plan_row(one: "RequestPlan") -> dict[str, object]:
    from kae.streams.shards.plans import RefoldPlan, ResetPlan

    row: dict[str, object] = {"shard": one.shard, "owner": one.owner}
    if isinstance(one, ResetPlan):
        age = one.to_age_seconds
        row |= {"from": one.from_offset, "to": one.to_offset, "events again": one.events_again}
        row |= {"lost": one.lost} if one.lost else {}
        row |= {"since": one.to_at, "ago": None if age is None else _ago(age)}
    elif isinstance(one, RefoldPlan):
        row |= {"version": one.version, "log records": one.log_records, "log bytes": one.log_bytes}
    return row


def _ago(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _confirm(count: int, command: ShardCommand) -> None:
    what = f"{command.name} {count} shard{'s' if count > 1 else ''}"
    if command.yes:
        return
    if not sys.stdin.isatty():
        raise ShardRefused(
            f"would {what}; nothing was requested: nobody can be asked here; give --yes"
        )
    typer.confirm(f"{what.capitalize()}?", abort=True, err=True)


def _print_answers(answers: "Sequence[RequestAnswerShown]", command: ShardCommand) -> None:
    terminal.print_table(
        f"Requests to {command.name}",
        ("shard", "outcome", "by worker", "at version"),
        ((one.shard, one.outcome.value, one.worker, one.version) for one in answers),
    )


def _conclude(
    client: "ControlClient", answers: "Sequence[RequestAnswerShown]", command: ShardCommand
) -> None:
    from kae.streams.control.client import RequestOutcome

    refused = [one.cause for one in answers if one.outcome is RequestOutcome.REFUSED]
    if refused:
        raise ShardRefused("\n".join(refused))
    unanswered = [one.shard for one in answers if one.outcome is RequestOutcome.OPEN]
    if unanswered:
        owners = ", ".join(f"{shard}: {client.owner(shard)}" for shard in unanswered)
        raise ShardTimedOut(
            f"no answer in {command.timeout:g} s from the last owners of these shards: {owners}. "
            "The request is kept, and the next owner carries it out: see that workers run "
            "(`kae worker run`), and look again with `kae shard list`"
        )


def _shown(topology: "Topology", replica: str | None) -> "list[ShardShown]":
    from kae.streams.replica_api.client import ReplicaClient

    client = ReplicaClient(replica_address(topology, replica))
    return client.status(generation=topology.generation).shards


def _target(offset: int | None, at: str, earliest: bool) -> "ResetTarget":
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
    """A time, in UTC, cut to fit a narrow column."""
    return at[:16].replace("T", " ")


def _row(one: "ShardListed") -> tuple[object, ...]:
    """Several lines for a shard, where needed, so that the table fits a terminal."""
    paused, last = "-", "-"
    if one.stopped:
        paused = f"stopped:\n{one.stopped}"
    elif one.paused:
        paused = "paused"
        if one.pause is not None:
            paused = f"{_minute(one.pause.since)}\n{one.pause.by}\n{one.pause.reason}".rstrip()
    if one.last is not None:
        answer = one.last.answer
        outcome = f"{answer.outcome.value}: {answer.cause}".removesuffix(": ")
        last = f"{_minute(one.last.at)}\n{one.last.command}\n{outcome}"
    owner = "-" if one.owner is None else f"{one.owner}, {one.epoch}"
    return (one.shard, owner, one.version, one.next_offset, one.lag_events, paused, last)
