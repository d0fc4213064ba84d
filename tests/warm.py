"""Processes of `kae` that start in a moment: forked from one that has imported all (Linux).

Each is a process of its own, with its group, its files and its environment; only what Python takes
from the environment as it begins is the server's. Tests marked `cold` start theirs as users do, and
so does whatever a shell or the demo starts.
"""

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from tests.warm_server import STATUS

from kae.deploy.forking import Child, fork
from kae.deploy.processes import Process, kae_command

ROOT = Path(__file__).parents[1]


class WarmChild:
    """A child of the server, as subprocess.Popen has its own."""

    def __init__(self, pid: int, argv: Sequence[str], ended: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._argv = argv
        self._ended = ended
        self._reading = threading.Lock()

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Its return code. Raises: subprocess.TimeoutExpired."""
        with self._reading:
            if self.returncode is None:
                ready, _, _ = select.select([self._ended], [], [], timeout)
                if not ready:
                    raise subprocess.TimeoutExpired(list(self._argv), timeout or 0)
                told = os.read(self._ended, STATUS.size)
                os.close(self._ended)
                # Without a word the server has died, and its children with it.
                status = STATUS.unpack(told)[0] if told else 9
                self.returncode = os.waitstatus_to_exitcode(status)
            return self.returncode


class WarmServer:
    """Begins with the first order, and ends with this process."""

    def __init__(self) -> None:
        self._orders: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._one_at_a_time = threading.Lock()

    def start(
        self, arguments: Sequence[str], env: Mapping[str, str], out: int, err: int, cwd: Path | None
    ) -> WarmChild:
        """`kae ARGUMENTS`, with these files as its output."""
        order = {"argv": list(arguments), "env": dict(env), "cwd": str(cwd or Path.cwd())}
        ended, to_tell = os.pipe()
        try:
            with self._one_at_a_time:
                orders = self._orders or self._begin()
                socket.send_fds(orders, [json.dumps(order).encode()], [out, err, to_tell])
                (pid,) = STATUS.unpack(orders.recv(STATUS.size))
        finally:
            os.close(to_tell)
        return WarmChild(pid, arguments, ended)

    def end(self) -> None:
        if self._orders and self._process:
            self._orders.close()
            self._process.wait(30)
            self._orders = self._process = None

    def _begin(self) -> socket.socket:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._orders.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        argv = [sys.executable, "-m", "tests.warm_server", str(os.getpid()), str(theirs.fileno())]
        begun = threading.Event()

        def begin() -> None:
            with theirs:
                self._process = subprocess.Popen(
                    argv,
                    cwd=ROOT,
                    env={**os.environ, "PYTHONUNBUFFERED": "1"},
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                )
            begun.set()
            # The kernel takes the end of the thread that forked for the end of the parent.
            threading.Event().wait()

        threading.Thread(target=begin, name="warm", daemon=True).start()
        begun.wait()
        return self._orders


_SERVER = WarmServer()
_KAE = tuple(kae_command())


def warm_fork(argv: Sequence[str], env: Mapping[str, str], log: Path, cwd: Path | None) -> Child:
    """As kae.deploy.forking.fork does; what is not `kae` is started by that."""
    if tuple(argv[: len(_KAE)]) != _KAE:
        return fork(argv, env, log, cwd)
    with log.open("ab") as out:
        return _SERVER.start(argv[len(_KAE) :], env, out.fileno(), out.fileno(), cwd)


def run_kae(
    *arguments: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    within_seconds: float = 60,
) -> subprocess.CompletedProcess[str]:
    """`kae ARGUMENTS`, run to its end."""
    argv = kae_command(*map(str, arguments))
    env = dict(os.environ) if env is None else env
    if Process.fork is fork:
        return subprocess.run(
            argv,
            cwd=cwd,
            env=env,
            capture_output=True,
            encoding="utf-8",
            timeout=within_seconds,
            check=False,
        )
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = _SERVER.start(argv[len(_KAE) :], env, out.fileno(), err.fileno(), cwd)
        try:
            code = child.wait(within_seconds)
        except subprocess.TimeoutExpired:
            os.kill(child.pid, 9)
            child.wait()
            raise
        texts = []
        for written in (out, err):
            written.seek(0)
            texts.append(written.read().decode())
    return subprocess.CompletedProcess(argv, code, *texts)


@pytest.fixture(autouse=True, scope="session")
def _end_of_the_server() -> Iterator[None]:
    yield
    _SERVER.end()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    cold = sys.platform != "linux" or item.get_closest_marker("cold")
    Process.fork = fork if cold else warm_fork
