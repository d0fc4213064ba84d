"""`kae snapshot create|list|verify|prune`: copies of the shards' stores, and what they allow."""

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
    from kae.streams.snapshots.listing import PrunePlanned, SnapshotAsked, SnapshotShown
    from kae.streams.topology.types import Topology


app = typer.Typer(no_args_is_help=True)
ShardOption = Annotated[
    list[int] | None,
    typer.Option("--shard", metavar="N", show_default=False, help="Of this shard; else of all."),
]


@app.command()
def create(
    shard: ShardOption = None,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why, for those who look later.")
    ] = "",
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="How long to wait for them.")
    ] = 600.0,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the owners of shards for a snapshot now, and wait until it is in the archive."""
    from kae.streams.control.client import RequestOutcome, open_control_client
    from kae.streams.snapshots.archives import url_of
    from kae.streams.snapshots.listing import SnapshotsAsked
    from kae.streams.snapshots.requests import ask_for_snapshots

    opened = open_topology(topology, bootstrap)
    url_of(opened)
    with (
        open_control_client(opened, _shards(opened, shard)) as desk,
        _progress(desk.shards) as step,
    ):
        asked = ask_for_snapshots(desk, desk.shards, reason, timeout, lambda _: step())
        silent = {
            one.shard: desk.owner(one.shard) for one in asked if one.outcome is RequestOutcome.OPEN
        }
    if as_json:
        terminal.print_json(SnapshotsAsked(asked))
    else:
        terminal.print_table(
            "Snapshots",
            ("shard", "outcome", "version", "bytes", "of them sent", "by worker"),
            map(_asked_row, asked),
        )
    failed = [
        f"shard {one.shard}: {one.cause}" for one in asked if one.outcome is RequestOutcome.REFUSED
    ]
    if silent:
        owners = ", ".join(f"{number}: {owner}" for number, owner in silent.items())
        failed.append(
            f"no snapshot in {timeout:g} s of shards whose last owners were {owners}. "
            "See that workers run (`kae worker run`), look with `kae snapshot list`, ask again"
        )
    if failed:
        raise SnapshotFailed("\n".join(failed))


@app.command("list")
def list_snapshots(
    shard: ShardOption = None, topology: TopologyOption = None, as_json: JsonOption = False
) -> None:
    """Show the snapshots that there are; their manifests are read, and no broker is asked."""
    from kae.streams.snapshots.listing import list_snapshots

    opened = open_topology(topology, None)
    _show(opened, list(list_snapshots(opened, _shards(opened, shard), now_ms())), as_json)


@app.command()
def verify(
    shard: ShardOption = None, topology: TopologyOption = None, as_json: JsonOption = False
) -> None:
    """Read every byte of the snapshots, and name what is not as it was written."""
    from kae.streams.snapshots.listing import verify_snapshots

    opened, found = open_topology(topology, None), []
    shards = _shards(opened, shard)
    with _progress(shards) as step:
        for number in shards:
            found += list(verify_snapshots(opened, [number], now_ms()))
            step()
    _show(opened, found, as_json)


@app.command()
def prune(
    shard: ShardOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove superseded snapshots, and the logs below the second newest whole one of each shard."""
    from kae.streams.control.client import open_control_client
    from kae.streams.snapshots import pruning
    from kae.streams.snapshots.archives import url_of
    from kae.streams.snapshots.listing import Pruned

    opened = open_topology(topology, bootstrap)
    url_of(opened)
    with open_control_client(opened, _shards(opened, shard)) as desk:
        with _progress(desk.shards) as step:
            plans = pruning.plan_pruning(
                opened, desk.clients, desk.shards, now_ms(), lambda _: step()
            )
        planned = [told for _, told in plans.values()]
        if not as_json:
            _print_plan(planned)
        if not dry_run:
            _confirm(planned, yes)
            with _progress(desk.shards) as step:
                pruning.prune_snapshots(opened, plans, lambda _: step())
    if as_json:
        terminal.print_json(Pruned(dry_run, planned))
    elif dry_run:
        terminal.out.print("dry run: nothing was removed")


def _shards(topology: "Topology", named: Sequence[int] | None) -> list[int]:
    from kae.streams.control.client import named_shards

    return named_shards(topology, named or range(topology.shards))


def _show(topology: "Topology", found: "list[SnapshotShown]", as_json: bool) -> None:
    from kae.streams.snapshots.archives import url_of
    from kae.streams.snapshots.listing import SnapshotsListed

    url = url_of(topology)
    if as_json:
        terminal.print_json(SnapshotsListed(topology.generation, url, found))
    else:
        terminal.print_table(
            f"Snapshots of generation {topology.generation} in {url}",
            ("shard", "version", "offset", "items", "files", "bytes", "taken", "by", "whole"),
            map(_row, found),
        )
    broken = [
        f"snapshot {one.manifest} of shard {one.shard}: {reason}"
        for one in found
        for reason in one.broken
    ]
    if broken:
        raise SnapshotsBroken(
            "\n".join(broken) + "\nWhoever begins passes these over for the ones before; "
            "`kae snapshot prune` removes what is damaged, `kae snapshot create` takes new ones"
        )


def _row(one: "SnapshotShown") -> tuple[object, ...]:
    taken = one.taken[:19].replace("T", " ") if one.taken else None
    return (
        one.shard, one.version, one.offset, one.items, one.files, one.bytes, taken, one.by,
        not one.broken,
    )  # fmt: skip


def _asked_row(one: "SnapshotAsked") -> tuple[object, ...]:
    return one.shard, one.outcome.value, one.version, one.bytes, one.sent_bytes, one.worker


def _print_plan(planned: "Sequence[PrunePlanned]") -> None:
    terminal.print_table(
        "To prune",
        ("shard", "kept", "dropped", "broken", "files", "bytes", "log begins at", "trimmed to"),
        (
            (
                one.shard, len(one.keep), len(one.drop), len(one.broken), one.blobs, one.bytes,
                one.log_from, one.log_kept if one.log_to is None else one.log_to,
            )
            for one in planned
        ),
    )  # fmt: skip


def _confirm(planned: "Sequence[PrunePlanned]", yes: bool) -> None:
    if yes:
        return
    trimmed = sum(one.log_to is not None for one in planned)
    what = f"remove {sum(len(one.drop) for one in planned)} snapshots and trim {trimmed} logs"
    if not sys.stdin.isatty():
        raise ShardRefused(
            f"would {what}; nothing was removed: nobody can be asked here; give --yes"
        )
    typer.confirm(f"{what.capitalize()}?", abort=True, err=True)


@contextmanager
def _progress(shards: Sequence[int]) -> Iterator[Any]:
    """A bar on a terminal, a step a shard."""
    from rich.progress import Progress

    with Progress(console=terminal.err, transient=True) as bar:
        task = bar.add_task("shards", total=len(shards))
        yield lambda: bar.advance(task)
