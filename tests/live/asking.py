"""Commands, as an operator gives them."""

import json
import os
import subprocess
from typing import Any

from tests.warm import run_kae

from kae.deploy.cluster import Cluster
from kae.streams.topology.types import Topology


def kae(
    cluster: Cluster, *arguments: str, code: int | None = 0, topology: Topology | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, which has this exit code; None: whichever."""
    path = str((topology or cluster.topology).path)
    # It writes logs, which no operator may.
    lent = cluster.environments.get("backfill", {}) if arguments[0] == "backfill" else {}
    env = {**os.environ, **lent}
    done = run_kae(*arguments, "--topology", path, cwd=cluster.folder, env=env)
    assert code in (done.returncode, None), done.stderr
    return done


def told(
    cluster: Cluster, *arguments: str, code: int | None = 0, topology: Topology | None = None
) -> Any:
    """What a command prints with --json."""
    done = kae(cluster, *arguments, "--json", code=code, topology=topology)
    return json.loads(done.stdout.splitlines()[-1])
