"""What takes long to make and is only read: made once, for all processes that run tests."""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(
    name: str, make: Callable[[Path], object], factory: pytest.TempPathFactory, worker: str
) -> Path:
    """The folder that `make` fills; whoever comes first makes it, the others wait."""
    own = factory.getbasetemp()
    folder = (own if worker == "master" else own.parent) / name
    made = folder.with_suffix(".made")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            made.touch()
    return folder
