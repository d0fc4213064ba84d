"""The runbooks: what stands under an alarm is typed word for word."""

import os
import subprocess
import sys
from pathlib import Path

from tests.repository.command_blocks import blocks

from kae.deploy.cluster import Cluster

RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks.md"


def follow(cluster: Cluster, alarm: str) -> None:
    """Give the commands that the entry of an alarm has tests run."""
    for command in entry(alarm):
        give(cluster, command)


def give(cluster: Cluster, command: str) -> None:
    """Give one command, in the folder of the cluster."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "KAE_TOPOLOGY": str(cluster.topology.path)}
    done = subprocess.run(
        ["sh", "-euc", command],
        cwd=cluster.folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def entry(alarm: str) -> list[str]:
    lines = RUNBOOKS.read_text(encoding="utf-8").splitlines()
    begin = lines.index(f"## {alarm}") + 1
    heads = [number for number, line in enumerate(lines, 1) if line.startswith("## ")]
    end = next((head for head in heads if head > begin), len(lines))
    return [
        step.command
        for block in blocks(RUNBOOKS)
        if begin < block.line < end and "run by tests/live/" in block.label
        for step in block.steps
    ]
