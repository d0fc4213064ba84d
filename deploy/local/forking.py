"""Fork children that do not outlive this process, also when it dies by SIGKILL (Linux)."""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol


class Child(Protocol):
    """Of subprocess.Popen what a supervisor needs."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...


_DIE_WITH_PARENT = Path(__file__).parent / "die_with_parent.py"


def fork(argv: Sequence[str], env: Mapping[str, str], log: Path, cwd: Path | None) -> Child:
    """Start `argv` as the leader of a process group of its own; its output is appended to `log`."""
    die_with_parent = [sys.executable, "-I", "-S", str(_DIE_WITH_PARENT), str(os.getpid())]

    def popen() -> subprocess.Popen[bytes]:
        with log.open("ab") as out:
            return subprocess.Popen(
                [*(die_with_parent if sys.platform == "linux" else []), *argv],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    return _FORKS.run(popen)


class _Forks:
    """One thread that forks for all others.

    The kernel sends the death signal when the *thread* that forked ends, so that thread has to
    live as long as the process: a daemon, which is still there while `atexit` runs.
    """

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[tuple[Callable[[], Child], Future[Child]]] = (
            queue.SimpleQueue()
        )
        self._first = threading.Lock()
        self._thread: threading.Thread | None = None

    def run(self, popen: Callable[[], Child]) -> Child:
        with self._first:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="forks", daemon=True)
                self._thread.start()
        future: Future[Child] = Future()
        self._orders.put((popen, future))
        return future.result()

    def _serve(self) -> None:
        while True:
            popen, future = self._orders.get()
            try:
                future.set_result(popen())
            except Exception as error:  # the caller's, whatever it is
                future.set_exception(error)


_FORKS = _Forks()
