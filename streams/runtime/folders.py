"""The folder of a process's stores: locked while the process runs, and perhaps on a full disk."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from kae.sinks.store.disk import DiskFull
from kae.streams.errors import StoreFolderUnusable


@contextmanager
def hold_folder(folder: Path, holder: str, option: str = "--data") -> Iterator[None]:
    """Create the folder if it is missing, and lock it against others of the same kind.

    The kernel holds the lock, and releases it when the process ends, in whatever way. `option` is
    the option that names the folder.
    Raises: StoreFolderUnusable when it is locked, is not a folder, or cannot be written.
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
    """Set by the thread that writes the stores; any thread may read `reason`."""

    def __init__(self) -> None:
        self.reason = ""  # empty: there is space

    def note(self, error: DiskFull) -> None:
        """Note a write that failed because the disk is full."""
        if not self.reason:
            log.error("disk_full", folder=str(error.folder), free_bytes=error.free)
        self.reason = str(error)

    def clear(self) -> None:
        """Note that what waited for space is written."""
        if self.reason:
            log.info("disk_has_room")
        self.reason = ""
