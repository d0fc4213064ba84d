"""A process that has imported what `kae` imports, and forks whoever is ordered (Linux).

`python -m tests.warm_server PARENT_PID SOCKET_FD`: it has one thread and ends with its parent. Each
order is a JSON object with `argv`, `env` and `cwd`, and three files: standard output, standard
error, and where the child's end is told, four bytes as waitpid says it.
"""

import ast
import contextlib
import ctypes
import gc
import importlib
import json
import logging
import os
import runpy
import select
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any

MAIN = "kae.streams.cli.main"
MOST_BYTES = 1 << 20
STATUS = struct.Struct("<i")
_PR_SET_PDEATHSIG = 1

# These read the environment when they are imported: each child imports them anew.
TARGETS: dict[str, str] = {}  # the modules of the nouns that nobody has run yet
READ_ENVIRONMENT = ("kae.streams.cli.terminal", "kae.streams.runtime.failpoints")


def serve(orders: socket.socket) -> dict[str, Any] | None:
    """Fork for each order; returns in the children, with theirs, and without one at the end."""
    ended = _tell_of_children()
    told: dict[int, int] = {}  # where to say how a child ended
    while True:
        ready, _, _ = select.select([orders.fileno(), ended], [], [])
        if ended in ready:
            os.read(ended, 4096)
            _reap(told)
        if orders.fileno() in ready:
            message, files, _, _ = socket.recv_fds(orders, MOST_BYTES, 3)
            if not message:
                return None
            order: dict[str, Any] = json.loads(message)
            _import_for(order["argv"])
            out, err, status = files
            pid = os.fork()
            if not pid:
                os.setsid()
                # Not told before it has a group that can be killed.
                orders.send(STATUS.pack(os.getpid()))
                _become_child(order, out, err)
                return order
            told[pid] = status
            os.close(out)
            os.close(err)


def _tell_of_children() -> int:
    """A file that becomes readable when a child has ended."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reading


def _reap(told: dict[int, int]) -> None:
    while told:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        where = told.pop(pid)
        os.write(where, STATUS.pack(status))
        os.close(where)


def _import_for(argv: list[str]) -> None:
    """Import what the functions of a noun import when they run; the next ones need not."""
    noun = next((word for word in argv if not word.startswith("-")), "")
    target = TARGETS.pop(noun, None)
    if target is None:
        return
    source = importlib.import_module(target).__file__ or ""
    for node in ast.walk(ast.parse(Path(source).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kae."):
            with contextlib.suppress(ModuleNotFoundError):  # an extra that is not installed
                importlib.import_module(str(node.module))
    gc.freeze()


def _become_child(order: dict[str, Any], out: int, err: int) -> None:
    """As a process is that was started anew: with its own signals, files and environment."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _end_with(os.getppid())
    nothing = os.open(os.devnull, os.O_RDONLY)
    for file, number in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(file, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    # Apache Beam lays a handler when it is imported, which another noun may have done.
    logging.root.handlers.clear()


def _run(argv: list[str]) -> None:
    """As `python -m kae.streams.cli.main` does."""
    sys.path[0] = str(Path.cwd())
    sys.argv = [str(Path(importlib.import_module(MAIN).__file__ or "")), *argv]
    for name in READ_ENVIRONMENT:
        if name in sys.modules:
            importlib.reload(sys.modules[name])
    gc.enable()
    del sys.modules[MAIN]
    runpy.run_module(MAIN, run_name="__main__", alter_sys=True)


def _end_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os._exit(1)


def main() -> None:
    parent, orders = map(int, sys.argv[1:])
    _end_with(parent)
    gc.disable()
    importlib.import_module(MAIN)
    for noun in importlib.import_module(MAIN).NOUNS:
        TARGETS[noun.name] = noun.target.partition(":")[0]
        importlib.import_module(TARGETS[noun.name])
    gc.freeze()
    with socket.socket(fileno=orders) as given:
        order = serve(given)
        if order is not None:
            given.detach()
    if order is not None:
        _run(order["argv"])


if __name__ == "__main__":
    main()
