"""A real file system whose operations can be killed or made to wait."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

WRITES = ("pipe_file", "put_file")
# Calls that neither read nor change a file.
UNCOUNTED = ("invalidate_cache", "makedirs", "protocol")


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


class FaultyFileSystem:
    """Passes an archive's calls on to a real file system, and calls `step` before each.

    A move is a copy and a removal, as in an object store.
    """

    def __init__(self, step: Callable[[str], None], inner: Any = None) -> None:
        self.inner = inner or LocalFileSystem()
        self._step = step

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.inner, name)
        if name in UNCOUNTED:
            return call

        def stepped(*arguments: Any, **options: Any) -> Any:
            self._step(name)
            return call(*arguments, **options)

        return stepped

    def mv(self, source: str, target: str) -> None:
        self._step("cp_file")
        try:
            self.inner.cp_file(source, target)
        finally:
            self._step("rm_file")
        self.inner.rm_file(source)


class KilledAt(FaultyFileSystem):
    """Kills before the k-th operation, or in the middle of it if it is a write."""

    def __init__(self, at: int, amid: bool) -> None:
        self._left = at
        self._amid = amid
        self.operations = 0
        super().__init__(self._count)

    def _count(self, name: str) -> None:
        self.operations += 1
        self._left -= 1
        if self._left < 0 and not (self._amid and name in WRITES):
            raise Killed

    def put_file(self, source: str, target: str) -> None:
        self.pipe_file(target, Path(source).read_bytes())

    def pipe_file(self, target: str, payload: bytes) -> None:
        self._count("put_file")
        if self._left < 0:
            self.inner.pipe_file(target, payload[: len(payload) // 2])
            raise Killed
        self.inner.pipe_file(target, payload)
