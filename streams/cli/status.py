"""`kae status`: lag, versions and event counts."""

from typing import TYPE_CHECKING, Annotated

import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import BootstrapOption, JsonOption, ReplicaOption, TopologyOption
from kae.streams.local_run import open_topology, replica_address

if TYPE_CHECKING:
    from kae.streams.shards.index_status import IndexStatus


app = typer.Typer()
# Not 1, which says that not all of the status could be read.
EXIT_UNASKED = 1
EXIT_OUT_OF_BOUNDS = 3


@app.command()
def status(
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 3 when something is out of bounds.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show each shard's lag, whether its event counts add up, and which replicas are alive."""
    from kae.streams.replica_api.client import ReplicaClient
    from kae.streams.shards.index_status import read_status

    opened = open_topology(topology, bootstrap)
    current = read_status(opened, ReplicaClient(replica_address(opened, replica)))
    if as_json:
        terminal.print_json(current)
    else:
        _print_status(current)
    if current.unasked:
        raise typer.Exit(EXIT_UNASKED)
    if check and current.problems:
        raise typer.Exit(EXIT_OUT_OF_BOUNDS)


def _print_status(status: "IndexStatus") -> None:
    if status.items is not None:
        _print_shards(status)
    if (dead_letters := status.dead_letters) is not None:
        terminal.out.print(
            f"dead letters: {dead_letters.open:,} open, {dead_letters.replayed:,} replayed "
            "(`kae dead-letters list`)\n",
            highlight=False,
        )
    if status.bindings is not None:
        _print_replicas(status)
    terminal.print_unasked(status.unasked)
    for problem in status.problems:
        terminal.out.print(problem, style="red", markup=False, highlight=False, soft_wrap=True)


def _print_shards(status: "IndexStatus") -> None:
    beside = f", beside {' and '.join(map(str, status.prepared))}" if status.prepared else ""
    terminal.print_table(
        f"Generation {status.generation} serves{beside}: {status.items:,} items, {_behind(status)}",
        ("shard", "lag", "lag s", "version", "epoch", "live", "read", "dead", "adds up"),
        (
            (
                s.shard,
                s.lag_events,
                s.lag_seconds,
                s.version,
                s.epoch,
                s.live,
                s.counts.read,
                s.counts.dead,
                s.balanced,
            )
            for s in status.shards
        ),
    )
    if paused := [str(s.shard) for s in status.shards if s.paused]:
        terminal.out.print(f"[yellow]paused[/]: {', '.join(paused)} (`kae shard list` says why)")
    if stopped := [str(s.shard) for s in status.shards if s.stopped]:
        terminal.out.print(f"[red]stopped[/]: {', '.join(stopped)}")
    if late := [str(s.shard) for s in status.shards if s.late]:
        terminal.out.print(f"[red]late[/]: {', '.join(late)}")
    if (counts := status.counts) is not None:
        terminal.out.print(
            f"read {counts.read:,} = put {counts.put:,} + dropped {counts.dropped:,} + "
            f"stale {counts.stale:,} + dead letters {counts.dead:,} + lost {counts.lost:,}: "
            f"{'adds up' if status.balanced else '[red]does not add up[/]'}",
            highlight=False,
        )


def _behind(status: "IndexStatus") -> str:
    if status.lag_events is None or status.lag_seconds is None:
        return "how far behind is not known"
    return f"{status.lag_events:,} events behind ({status.lag_seconds:.1f} s)"


def _print_replicas(status: "IndexStatus") -> None:
    if (bindings := status.bindings) is None:
        return
    behind = "-" if status.terms_lag_events is None else status.terms_lag_events
    terminal.print_table(
        f"Bindings: version {bindings.version}, {bindings.active} terms, "
        f"{bindings.quarantined} slots in quarantine, {behind} term events behind",
        ("replica", "live", "deltas behind", "bindings version", "shard versions"),
        (
            (r.replica, r.live, r.behind, r.bindings_version, " ".join(map(str, r.shards)))
            for r in status.replicas
        ),
    )
