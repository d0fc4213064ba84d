"""A Dask cluster on this machine: a scheduler and workers, each a process."""

import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from kae.deploy.processes import Process


class DaskCluster:
    """`address` is a file that tells where its scheduler is; workers have one thread each."""

    def __init__(self, folder: Path) -> None:
        self.address = folder / "scheduler.json"
        self.workers: dict[str, Process] = {}
        self._folder = folder
        self._running = ExitStack()
        arguments = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show")
        self.scheduler = self._process("scheduler", [], *arguments)

    def start_worker(self, name: str, within: tuple[str, ...] = ()) -> Process:
        """Start a worker that nobody starts again when it ends; `within` is a command around it."""
        own = ("--name", name, "--local-directory", str(self._folder / name))
        worker = self._process("worker", within, *own, "--nthreads", "1", "--no-nanny", name=name)
        self.workers[name] = self._running.enter_context(worker)
        return worker

    def wait_ready(self) -> None:
        for worker in self.workers.values():
            worker.wait_ready(lambda one: "Registered to" in one.output())

    def _process(
        self, what: str, within: tuple[str, ...] | list[str], *arguments: str, name: str = ""
    ) -> Process:
        module = ("-m", f"distributed.cli.dask_{what}", "--scheduler-file", str(self.address))
        argv = [*within, sys.executable, *module, *arguments]
        return Process(name or what, argv, self._folder / f"{name or what}.log", cwd=self._folder)

    def __enter__(self) -> Self:
        self._running.enter_context(self.scheduler)
        self.scheduler.wait_ready(lambda _: self.address.exists())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.close()


def reads(process: Process, file: Path) -> bool:
    """Whether a process has this file open."""
    opened = psutil.Process(process.pid).open_files()
    return str(file.resolve()) in {one.path for one in opened}
