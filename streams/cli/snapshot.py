"""`kae snapshot create|list|verify|prune`: snapshots of the shards' stores."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import BootstrapOption, JsonOption, TopologyOption
from kae.streams.clock import now_ms
from kae.streams.errors import ShardRefused, SnapshotFailed, SnapshotsBroken
from kae.streams.local_run import open_topology

if TYPE_CHECKING:
    from kae.streams.snapshots.listing import ShardPruneReport, SnapshotOutcome, SnapshotShown
    from kae.streams.topology.types import Topology


app = typer.Typer(no_args_is_help=True)
ShardOption = Annotated[
    list[int] | None,
    typer.Option("--shard", metavar="N", show_default=False, help="Of this shard; else of all."),
]


@app.command()
def create(
    shard: ShardOption = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, kept with the request.")] = "",
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="How long to wait for them.")
    ] = 600.0,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Request a snapshot from the owners of shards, and wait until it is in the archive."""
    from kae.streams.control.client import RequestOutcome, open_control_client
    from kae.streams.snapshots.archives import snapshots_url
    from kae.streams.snapshots.listing import SnapshotOutcomes
    from kae.streams.snapshots.requests import request_snapshots

    opened = open_topology(topology, bootstrap)
    snapshots_url(opened)
    with (
        open_control_client(opened, _shards(opened, shard)) as client,
        _progress(client.shards) as step,
    ):
        outcomes = request_snapshots(client, reason, timeout, lambda _: step())
        unanswered = {
            one.shard: client.owner(one.shard)
            for one in outcomes
            if one.outcome is RequestOutcome.OPEN
        }
    if as_json:
        terminal.print_json(SnapshotOutcomes(outcomes))
    else:
        terminal.print_table(
            "Snapshots",
            ("shard", "outcome", "version", "bytes", "of them sent", "by worker"),
            map(_outcome_row, outcomes),
        )
    failed = [
        f"shard {one.shard}: {one.cause}"
        for one in outcomes
        if one.outcome is RequestOutcome.REFUSED
    ]
    if unanswered:
        owners = ", ".join(f"{number}: {owner}" for number, owner in unanswered.items())
        failed.append(
            f"no snapshot in {timeout:g} s of shards whose last owners were {owners}. "
            "See that workers run (`kae worker run`), look with `kae snapshot list`, then try again"
        )
    if failed:
        raise SnapshotFailed("\n".join(failed))


@app.command("list")
def list_snapshots(
    shard: ShardOption = None, topology: TopologyOption = None, as_json: JsonOption = False
) -> None:
    """List the snapshots; reads their manifests, and asks no broker."""
    from kae.streams.snapshots.listing import list_snapshots

    opened = open_topology(topology, None)
    _show(opened, list(list_snapshots(opened, _shards(opened, shard), now_ms())), as_json)


@app.command()
def verify(
    shard: ShardOption = None, topology: TopologyOption = None, as_json: JsonOption = False
) -> None:
    """Read every byte of the snapshots, and name what was cut or altered."""
    from kae.streams.snapshots.listing import verify_snapshots

    opened, snapshots = open_topology(topology, None), []
    shards = _shards(opened, shard)
    with _progress(shards) as step:
        for number in shards:
            snapshots += list(verify_snapshots(opened, [number], now_ms()))
            step()
    _show(opened, snapshots, as_json)


@app.command()
def prune(
    shard: ShardOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be removed; remove nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove superseded snapshots, and trim each shard's log below its second newest whole one."""
    from kae.streams.control.client import open_control_client
    from kae.streams.snapshots import pruning
    from kae.streams.snapshots.archives import snapshots_url
    from kae.streams.snapshots.listing import PruneReport

    opened = open_topology(topology, bootstrap)
    snapshots_url(opened)
    with open_control_client(opened, _shards(opened, shard)) as client:
        with _progress(client.shards) as step:
            prunings = pruning.plan_pruning(
                opened, client.clients, client.shards, now_ms(), lambda _: step()
            )
        reports = [report for _, report in prunings]
        if not as_json:
            _print_plan(reports)
        if not dry_run:
            _confirm(reports, yes)
            with _progress(client.shards) as step:
                pruning.prune_snapshots(opened, prunings, lambda _: step())
    if as_json:
        terminal.print_json(PruneReport(dry_run, reports))
    elif dry_run:
        terminal.out.print("dry run: nothing was removed")


def _shards(topology: "Topology", named: Sequence[int] | None) -> list[int]:
    from kae.streams.control.client import named_shards

    return named_shards(topology, named or range(topology.shards))


def _show(topology: "Topology", snapshots: "list[SnapshotShown]", as_json: bool) -> None:
    from kae.streams.snapshots.archives import snapshots_url
    from kae.streams.snapshots.listing import SnapshotsListed

    url = snapshots_url(topology)
    if as_json:
        terminal.print_json(SnapshotsListed(topology.generation, url, snapshots))
    else:
        terminal.print_table(
            f"Snapshots of generation {topology.generation} in {url}",
            ("shard", "version", "offset", "items", "files", "bytes", "taken", "by", "whole"),
            map(_row, snapshots),
        )
    broken = [
        f"snapshot {one.manifest} of shard {one.shard}: {reason}"
        for one in snapshots
        for reason in one.broken
    ]
    if broken:
        raise SnapshotsBroken(
            "\n".join(broken) + "\nWorkers and replicas start from older snapshots "
            "instead. `kae snapshot prune` removes damaged files, `kae snapshot create` takes new "
            "snapshots"
        )


def _row(one: "SnapshotShown") -> tuple[object, ...]:
    taken = one.taken[:19].replace("T", " ") if one.taken else None
    return (
        one.shard, one.version, one.offset, one.items, one.files, one.bytes, taken, one.by,
        not one.broken,
    )  # fmt: skip


def _outcome_row(one: "SnapshotOutcome") -> tuple[object, ...]:
    return one.shard, one.outcome.value, one.version, one.bytes, one.sent_bytes, one.worker


def _print_plan(reports: "Sequence[ShardPruneReport]") -> None:
    terminal.print_table(
        "To prune",
        ("shard", "kept", "dropped", "broken", "files", "bytes", "log begins at", "trimmed to"),
        (
            (
                one.shard, len(one.keep), len(one.drop), len(one.broken), one.blobs, one.bytes,
                one.log_from, one.log_kept if one.log_to is None else one.log_to,
            )
            for one in reports
        ),
    )  # fmt: skip


def _confirm(reports: "Sequence[ShardPruneReport]", yes: bool) -> None:
    if yes:
        return
    trimmed = sum(one.log_to is not None for one in reports)
    what = f"remove {sum(len(one.drop) for one in reports)} snapshots and trim {trimmed} logs"
    if not sys.stdin.isatty():
        raise ShardRefused(
            f"would {what}; nothing was removed: nobody can be asked here; give --yes"
        )
    typer.confirm(f"{what.capitalize()}?", abort=True, err=True)


@contextmanager
def _progress(shards: Sequence[int]) -> Iterator[Any]:
    """A progress bar, with a step for each shard."""
    from rich.progress import Progress

    with Progress(console=terminal.err, transient=True) as bar:
        task = bar.add_task("shards", total=len(shards))
        yield lambda: bar.advance(task)
