"""What `kae shard` does with a plan: show it, ask the user and the owners, tell what came of it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from kae.streams import console
from kae.streams.errors import ShardRefused, ShardTimedOut

if TYPE_CHECKING:
    from kae.streams.control import Request
    from kae.streams.shards.answers import Planned, ShardAnswered
    from kae.streams.shards.desk import RequestsDesk


@dataclass(frozen=True, slots=True)
class How:
    """Which command this is, and how it was asked to go about it."""

    command: str
    dry_run: bool
    yes: bool
    timeout: float
    as_json: bool


def carry(
    desk: "RequestsDesk", asked: "Sequence[Request]", planned: "Sequence[Planned]", how: How
) -> None:
    """Go from a plan to its end, unless it is refused or only a dry run.

    Raises: ShardRefused, before anything is asked or by an owner; ShardTimedOut.
    """
    from kae.streams.shards.answers import ShardReport

    answers: list[ShardAnswered] = []
    refused = [one.refused for one in planned if one.refused]
    if refused:
        if how.as_json:
            console.print_json(ShardReport(how.command, how.dry_run, list(planned), answers))
        raise ShardRefused("\n".join(refused))
    if not how.as_json:
        _print_plan(planned, how)
    if not how.dry_run:
        _confirm(len(planned), how)
        answers = desk.carry(asked, how.timeout)
    if how.as_json:
        console.print_json(ShardReport(how.command, how.dry_run, list(planned), answers))
    elif how.dry_run:
        console.out.print("dry run: nothing was asked for")
    else:
        _print_answers(answers, how)
    _conclude(desk, answers, how)


def _print_plan(planned: "Sequence[Planned]", how: How) -> None:
    rows = [_row(one) for one in planned]
    console.print_table(f"To {how.command}", list(rows[0]), (list(row.values()) for row in rows))


def _row(one: "Planned") -> dict[str, object]:
    from kae.streams.shards.answers import RefoldPlanned, ResetPlanned

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
    console.print_table(
        f"Asked to {how.command}",
        ("shard", "outcome", "by worker", "at version"),
        ((one.shard, one.outcome.value, one.worker, one.version) for one in answers),
    )


def _conclude(desk: "RequestsDesk", answers: "Sequence[ShardAnswered]", how: How) -> None:
    from kae.streams.shards.answers import Outcome

    refused = [one.cause for one in answers if one.outcome is Outcome.REFUSED]
    if refused:
        raise ShardRefused("\n".join(refused))
    silent = [one.shard for one in answers if one.outcome is Outcome.OPEN]
    if silent:
        owners = ", ".join(f"{shard}: {desk.owner(shard)}" for shard in silent)
        raise ShardTimedOut(
            f"no answer in {how.timeout:g} s for shards of which these were the last owners: "
            f"{owners}. The request stays, and whoever holds the shard next carries it out: see "
            "that workers run (`kae worker run`), and look again with `kae shard list`"
        )
