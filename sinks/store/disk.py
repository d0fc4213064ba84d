"""The disk under a store: how much it holds, how much is left, and what is said of a full one."""

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

_FULL = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT)))


class DiskFull(Exception):
    """There is no room for a store; what could not be written is in its log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.free = space_at(folder).free
        super().__init__(
            f"{folder}: no room on the disk, {self.free:,} bytes are left. Make room there, or "
            "move the stores: stores.path in topology.yaml, or --data"
        )

    def __reduce__(self) -> tuple[type["DiskFull"], tuple[Path]]:
        # It travels between a backfill's workers, and its message is no folder.
        return DiskFull, (self.folder,)


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """A disk's size and what is left of it, in bytes."""

    size: int
    free: int


def space_at(folder: Path) -> DiskSpace:
    """The disk that has the folder, or will have it."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    usage = shutil.disk_usage(there)
    return DiskSpace(usage.total, usage.free)


def require_space(folder: Path, size: int) -> None:
    """Raises: DiskFull when less than `size` bytes are left."""
    if space_at(folder).free < size:
        raise DiskFull(folder)


def remove_whole(folder: Path) -> None:
    """Remove a folder so that it is all there or not at all, whenever this process is killed.

    What a killed one has left beside it goes too.
    """
    beside = folder.with_name(f"{folder.name}.removed")
    shutil.rmtree(beside, ignore_errors=True)
    if folder.exists():
        folder.rename(beside)
        shutil.rmtree(beside)


def tells_full(error: BaseException) -> bool:
    """Whether RocksDB's error, of which there is the text alone, comes from a full disk."""
    return any(full in str(error) for full in _FULL)


def bytes_in(folder: Path) -> int:
    """What the files of a store take on the disk; they come and go while they are counted."""
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
