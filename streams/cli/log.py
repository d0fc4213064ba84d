"""`kae log verify`: check that a replica equals its logs."""

import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import BootstrapOption, JsonOption, ReplicaOption, TopologyOption
from kae.streams.errors import LogsDiffer
from kae.streams.local_run import open_topology, replica_address

app = typer.Typer(no_args_is_help=True)


@app.callback()
def log() -> None:
    """Verify a replica against the logs."""


@app.command()
def verify(
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fold every shard's log again and compare it with the replica; exits with 1 if they differ."""
    from kae.streams.replica_api.client import ReplicaClient
    from kae.streams.shards.log_verify import verify_logs

    opened = open_topology(topology, bootstrap)
    verified = verify_logs(opened, ReplicaClient(replica_address(opened, replica)))
    if as_json:
        terminal.print_json(verified)
    else:
        terminal.print_table(
            "Logs, folded again, and the replica",
            ("shard", "version", "behind", "live items", "content", "equal"),
            ((s.shard, s.version, s.behind, s.live, s.hash[:16], s.equal) for s in verified.shards),
        )
    if not verified.equal:
        differing = ", ".join(str(s.shard) for s in verified.shards if not s.equal)
        raise LogsDiffer(
            f"the replica differs from the logs in shard {differing}; restart it, and it folds the "
            "logs again"
        )
