"""What every chapter of the demo has at hand, and how it waits."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kae.deploy.cluster import Cluster
from kae.deploy.narrator import Narrator
from kae.deploy.processes import Process, ProcessFailed
from kae.deploy.replica_face import ReplicaFace

T = TypeVar("T")

# Either broker may take ten seconds to notice a killed worker; this is far above.
STUCK_SECONDS = 60.0


class DemoFailed(RuntimeError):
    """The story did not go as told."""


@dataclass(frozen=True, slots=True)
class Script:
    """What the demo is about; all of it can be given on the command line."""

    catalog: tuple[Path, ...]
    items: int  # of the catalog, from its first row
    term: str
    where: str


@dataclass(frozen=True, slots=True)
class Scene:
    """The running index, who tells about it, and what about."""

    cluster: Cluster
    replica: ReplicaFace
    narrator: Narrator
    script: Script

    def publish(self, name: str, *, within_seconds: float | None = None) -> Process:
        """Start `kae catalog ingest`; spread evenly over the seconds given, else at full speed."""
        items = self.script.items
        pace = ("--rate", str(max(1.0, items / within_seconds))) if within_seconds else ()
        files = map(str, self.script.catalog)
        options = ("--limit", str(items), "--restart", "--json", *pace)
        return self.cluster.command(name, "catalog", "ingest", *files, *options)

    def until(self, look: Callable[[], T | None], what: str, pause_seconds: float = 0.05) -> T:
        """Look until there is something to see.

        Raises: DemoFailed when that takes too long; ProcessFailed if a process ends meanwhile.
        """
        deadline = time.monotonic() + STUCK_SECONDS
        while (seen := look()) is None:
            self.cluster.check()
            if time.monotonic() > deadline:
                raise DemoFailed(f"waited {STUCK_SECONDS:g} s in vain for {what}")
            time.sleep(pause_seconds)
        return seen

    def report(self, command: Process) -> dict[str, Any]:
        """What a command that was started prints last.

        Raises: ProcessFailed if it failed.
        """
        if code := command.wait(STUCK_SECONDS):
            raise ProcessFailed(f"{command.name} ended with {code}; {command.last_words()}")
        return command.report()
