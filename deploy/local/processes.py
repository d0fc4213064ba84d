"""Supervised child processes: start, wait until ready, signal, and read what they logged."""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Literal, Self

import httpx

from kae.deploy.forking import Child, fork

End = Literal["exited", "terminated", "killed"]  # by itself, by SIGTERM, by SIGKILL

_POLL_SECONDS = 0.05


class ProcessFailed(RuntimeError):
    """A child did not start, or ended, or was not ready in time; look at its log."""


class Process:
    """One child; it can be started again after it ended, and appends to the same log."""

    # Tests start most of theirs from a process that has imported already what they import.
    fork: ClassVar[Callable[[Sequence[str], Mapping[str, str], Path, Path | None], Child]] = (
        staticmethod(fork)
    )

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.argv = tuple(argv)
        self.log = log
        self._env = dict(env or {})
        self._cwd = cwd
        self._child: Child | None = None
        self._log_start = 0
        self._told_to_end = False

    def start(self) -> Self:
        """Raises: ProcessFailed if it runs already, or its program is missing."""
        if self.running:
            raise ProcessFailed(f"{self.name} runs already, as process {self.pid}")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        env = {**os.environ, "PYTHONUNBUFFERED": "1", **self._env}
        if shutil.which(self.argv[0], path=env.get("PATH")) is None:
            raise ProcessFailed(f"{self.name} cannot be started: there is no {self.argv[0]}")
        self._told_to_end = False
        self._child = Process.fork(self.argv, env, self.log, self._cwd)
        _STARTED.difference_update([child for child in _STARTED if not child.running])
        _STARTED.add(self)
        return self

    def wait_ready(self, ready: "Ready", within_seconds: float = 30.0) -> Self:
        """Raises: ProcessFailed if it ends or the time is over before `ready` holds."""
        deadline = time.monotonic() + within_seconds
        while not ready(self):
            if not self.running:
                raise self._ended()
            if time.monotonic() > deadline:
                raise ProcessFailed(
                    f"{self.name} was not ready within {within_seconds:g} s; {self.last_words()}"
                )
            time.sleep(_POLL_SECONDS)
        return self

    def check(self) -> None:
        """Raises: ProcessFailed if it has ended by itself."""
        if self._child is not None and not self.running and not self._told_to_end:
            raise self._ended()

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative if a signal ended it."""
        return self._child.poll() if self._child else None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def terminate(self, within_seconds: float = 15.0) -> End:
        """SIGTERM, and SIGKILL when that is not heeded in time; says which of them ended it."""
        if self._child is None or not self.running:
            return "exited"
        self._told_to_end = True
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a paused child would never see it
        try:
            self._child.wait(within_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return "killed"
        return "terminated"

    def kill(self) -> None:
        """SIGKILL to its whole group; returns when it is gone."""
        self._told_to_end = True
        self._signal(signal.SIGKILL)
        if self._child is not None:
            self._child.wait()

    def wait(self, within_seconds: float) -> int:
        """Its return code. Raises: ProcessFailed if it still runs after that time."""
        if self._child is None:
            raise ProcessFailed(f"{self.name} was never started")
        try:
            return self._child.wait(within_seconds)
        except subprocess.TimeoutExpired:
            raise ProcessFailed(
                f"{self.name} still runs after {within_seconds:g} s; {self.last_words()}"
            ) from None

    def pause(self) -> None:
        """SIGSTOP: it keeps its sockets and files, and does nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def output(self) -> str:
        """What it logged since its last start."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def events(self, event: str) -> Iterator[dict[str, Any]]:
        """The structured log lines of that name, since its last start."""
        whole_lines, _, _ = self.output().rpartition("\n")
        for line in whole_lines.splitlines():
            if event in line and (fields := _fields(line)).get("event") == event:
                yield fields

    def report(self) -> dict[str, Any]:
        """The JSON object that it printed last, as `kae ... --json` does; empty if it did not."""
        objects = (
            fields for line in reversed(self.output().splitlines()) if (fields := _fields(line))
        )
        return next(objects, {})

    def last_words(self, lines: int = 12) -> str:
        """Where its log is, and how that ends: for error messages."""
        tail = "\n".join(self.output().splitlines()[-lines:])
        return f"{self.log} ends with:\n{tail}" if tail else f"{self.log} is empty"

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.terminate()

    def _ended(self) -> ProcessFailed:
        return ProcessFailed(f"{self.name} ended with {self.returncode}; {self.last_words()}")

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None and self._child.poll() is None:
            try:
                os.killpg(self._child.pid, number)
            except ProcessLookupError:
                return  # it ended in between


def _fields(line: str) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except ValueError:  # a library's own line, or a traceback
        return {}
    return fields if isinstance(fields, dict) else {}


Ready = Callable[[Process], bool]


def logged(event: str) -> Ready:
    """Ready when the child has logged that event."""
    return lambda process: any(process.events(event))


def answers(url: str) -> Ready:
    """Ready when a GET of `url` answers with 2xx."""

    def ask(process: Process) -> bool:
        try:
            return _http().get(url).is_success
        except httpx.TransportError:
            return False

    return ask


@cache
def _http() -> httpx.Client:
    """One for all who wait: its TLS context takes longer to make than twenty answers."""
    unkept = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(timeout=2.0, trust_env=False, limits=unkept)


def kae_command(*arguments: str) -> list[str]:
    """The argv of `kae ...`, run by this very Python."""
    return [sys.executable, "-m", "kae.streams.cli.main", *arguments]


_STARTED: set[Process] = set()


@atexit.register
def _kill_what_is_left() -> None:
    for process in _STARTED:
        process.kill()
