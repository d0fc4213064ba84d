"""The disk of a store: free space, the error of a full disk, and removal in one step."""

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

_FULL = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT)))


class DiskFull(Exception):
    """The disk has no room for a store; what could not be written is in the log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.free = disk_space(folder).free
        super().__init__(
            f"{folder}: no room on the disk, {self.free:,} bytes are left. Make room there, or "
            "move the stores: stores.path in topology.yaml, or --data"
        )

    def __reduce__(self) -> tuple[type["DiskFull"], tuple[Path]]:
        # Pickled between a backfill's workers; the default would call it with the message.
        return DiskFull, (self.folder,)


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """The size of a disk and its free space, in bytes."""

    size: int
    free: int


def disk_space(folder: Path) -> DiskSpace:
    """The space of the disk of a folder, which need not exist yet."""
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    usage = shutil.disk_usage(existing)
    return DiskSpace(usage.total, usage.free)


def require_space(folder: Path, size: int) -> None:
    """Raises: DiskFull if less than `size` bytes are left."""
    if disk_space(folder).free < size:
        raise DiskFull(folder)


def remove_atomically(folder: Path) -> None:
    """Remove a folder such that a killed process leaves all of it or none.

    What an earlier removal left behind is removed too, and a file in the folder's place.
    Raises: OSError.
    """
    removed = folder.with_name(f"{folder.name}.removed")
    shutil.rmtree(removed, ignore_errors=True)
    if folder.is_file():
        folder.unlink()
    elif folder.exists():
        folder.rename(removed)
        shutil.rmtree(removed)


def is_disk_full(error: BaseException) -> bool:
    """Whether an error of RocksDB, which is only a text, comes from a full disk."""
    return any(full in str(error) for full in _FULL)


def folder_bytes(folder: Path) -> int:
    """The disk space of a folder's files, which may come and go meanwhile."""
    total = 0
    try:
        with os.scandir(folder) as files:
            for file in files:
                try:
                    total += file.stat().st_blocks * 512
                except FileNotFoundError:
                    continue
    except FileNotFoundError:
        return 0
    return total
