"""Workers killed at chosen steps, and waiting for what they do."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from kae.deploy.cluster import WORKER_READY, Cluster
from kae.deploy.processes import logged

T = TypeVar("T")


class Killer:
    """Arms failpoints, one at a time, and brings the dead back."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.kills: Counter[str] = Counter()
        self._cluster = cluster
        self._folder = folder
        folder.mkdir()

    @property
    def env(self) -> Mapping[str, str]:
        return {"KAE_FAILPOINTS": str(self._folder)}

    def arm(self, step: str, signal: str = "kill") -> None:
        (self._folder / f"{step}.{signal}").touch()

    def taken(self, step: str, signal: str = "kill") -> str:
        """Wait until a worker has reached this step; its name."""
        pattern = f"{step}.{signal}.taken-*"
        path = wait_for(lambda: next(self._folder.glob(pattern), None), f"{step} to be reached")
        pid = int(path.suffix.removeprefix(".taken-"))
        path.unlink()
        return next(name for name, worker in self._cluster.workers.items() if worker.pid == pid)

    def killed(self, step: str) -> str:
        """Wait until a worker has died of this step; its name."""
        name = self.taken(step)
        assert self._cluster.workers[name].wait(within_seconds=10) == -9
        self.kills[step] += 1
        return name

    def revive(self, name: str, wait: bool = True) -> None:
        worker = self._cluster.start_worker(name, self.env, wait=False)
        if wait:
            worker.wait_ready(logged(WORKER_READY), within_seconds=60)


def wait_for(probe: Callable[[], T | None], what: str, seconds: float = 60.0) -> T:
    """Poll until there is an answer that holds."""
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s for {what}")
        time.sleep(0.05)
    return found
