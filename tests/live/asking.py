"""Commands, as an operator gives them."""

import json
import os
import subprocess
from typing import Any

from kae.deploy.cluster import Cluster
from kae.deploy.processes import kae_command
from kae.streams.topology.types import Topology


def kae(
    cluster: Cluster, *arguments: str, code: int | None = 0, topology: Topology | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, which has this exit code; None: whichever."""
    argv = kae_command(*arguments, "--topology", str((topology or cluster.topology).path))
    # It writes logs, which no operator may.
    lent = cluster.environments.get("backfill", {}) if arguments[0] == "backfill" else {}
    done = subprocess.run(
        argv,
        cwd=cluster.folder,
        env={**os.environ, **lent},
        capture_output=True,
        text=True,
        check=False,
    )
    assert code in (done.returncode, None), done.stderr
    return done


def told(
    cluster: Cluster, *arguments: str, code: int | None = 0, topology: Topology | None = None
) -> Any:
    """What a command prints with --json."""
    done = kae(cluster, *arguments, "--json", code=code, topology=topology)
    return json.loads(done.stdout.splitlines()[-1])
