"""The folder that one process keeps its stores in: held by a lock for as long as it runs.

Whether a process waits for room on its stores' disk: told when it begins and when it is over.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from kae.sinks.store.disk import DiskFull
from kae.streams.errors import StoreFolderUnusable


@contextmanager
def hold_folder(folder: Path, holder: str, option: str = "--data") -> Iterator[None]:
    """Create the folder if it is missing, and keep others of the same kind out of it.

    The lock is the kernel's: it ends with the process, however that ends. `option` is the one that
    names the folder.
    Raises: StoreFolderUnusable when it is held, is no folder, or cannot be written.
    """
    lock = folder / f"{holder}.lock"
    remedy = f"name a folder that can be written with {option}, or correct stores.path"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = lock.open("ab")
    except OSError as error:
        raise StoreFolderUnusable(
            f"{folder}: cannot hold stores: {error.strerror or error}; {remedy}"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreFolderUnusable(
                f"{folder}: another {holder} that runs has its files there; give each {holder} a "
                f"folder of its own with {option}"
            ) from error
        except OSError as error:
            raise StoreFolderUnusable(
                f"{lock}: cannot be locked: {error.strerror or error}; {remedy}"
            ) from error
        yield


log = structlog.get_logger()


class FullDisk:
    """Noted by the thread that writes the stores; `reason` may be read by any."""

    def __init__(self) -> None:
        self.reason = ""  # empty: there is room

    def note(self, error: DiskFull) -> None:
        """Take notice of a write for which there was no room."""
        if not self.reason:
            log.error("disk_full", folder=str(error.folder), free_bytes=error.free)
        self.reason = str(error)

    def over(self) -> None:
        """Take notice that what waited for room is written."""
        if self.reason:
            log.info("disk_has_room")
        self.reason = ""
