"""A paced stream, and somebody who kills workers at chosen steps while it flows."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from tests.live.ledger import Event, Ledger

from kae.deploy.cluster import WORKER_READY, Cluster
from kae.deploy.processes import logged

T = TypeVar("T")


class Trickle:
    """Publishes in the background, held back so that the stream outlasts every kill."""

    def __init__(self, ledger: Ledger, events: list[Event], kills: int) -> None:
        self._ledger = ledger
        self._events = events
        self._portion = len(events) // (kills + 1)
        self._allowed = self._portion
        self._sent = 0
        self._flood = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="trickle", daemon=True)
        self._thread.start()

    def allow_more(self) -> None:
        self._allowed += self._portion

    @property
    def unsent(self) -> int:
        return len(self._events) - self._sent

    def flood(self) -> None:
        """Publish the rest at once."""
        self._flood.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while self._sent < len(self._events):
                # Taken once: the allowance may grow at any moment.
                portion = self._events[self._sent : self._sent + self._next()]
                self._ledger.publish(portion)
                self._sent += len(portion)
                self._flood.wait(0.1)
        except BaseException as error:
            self._error = error

    def _next(self) -> int:
        """Nearly at the allowance it drips, so that there is always something to index."""
        if self._flood.is_set():
            return 500
        return 40 if self._allowed - self._sent > self._portion // 3 else 1


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
