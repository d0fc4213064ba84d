"""A small disk of its own: a tmpfs in another mount namespace, for which nobody has to be root."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

PORTION = bytes(1 << 16)


class SmallDisk:
    """Lives as long as the process that holds its namespace; `folder` leads there for all."""

    def __init__(self, place: Path, megabytes: int) -> None:
        place.mkdir()
        alone = ["unshare", "--mount", "--kill-child", "--fork"]
        if os.geteuid() != 0:
            alone += ["--user", "--map-root-user"]
        script = f"mount -t tmpfs -o size={megabytes}m none '{place}' && echo mounted && read end"
        self._holder = subprocess.Popen(
            [*alone, "sh", "-c", f"echo $$; {script}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._holder.stdout is not None
        pid = self._holder.stdout.readline().strip()
        said = self._holder.stdout.readline().strip()
        if said != "mounted":
            self.close()
            raise AssertionError(f"no tmpfs here, neither as root nor by unshare: {pid} {said}")
        self.folder = Path(f"/proc/{pid}/root{place}")
        self._filling = self.folder / "filling"

    def fill(self) -> None:
        """Leave no room at all."""
        with pytest.raises(OSError, match="No space left on device"):
            self._write_on()

    def _write_on(self) -> None:
        file = os.open(self._filling, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        try:
            while True:
                os.write(file, PORTION)
        finally:
            os.close(file)

    @contextmanager
    def kept_full(self) -> Iterator[None]:
        """Leave no room, and take at once what others give back."""
        over = threading.Event()

        def fill() -> None:
            while not over.is_set():
                self.fill()

        filling = threading.Thread(target=fill)
        filling.start()
        try:
            yield
        finally:
            over.set()
            filling.join()

    def free(self) -> None:
        self._filling.unlink()

    def close(self) -> None:
        self._holder.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
