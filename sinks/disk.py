"""The disk under a store: how much it holds, how much is left, and what a full one says."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Room:
    """A disk's size and what is left of it, in bytes."""

    size: int
    free: int


def room_at(folder: Path) -> Room:
    """Raises: OSError when the folder is not there."""
    usage = shutil.disk_usage(folder)
    return Room(usage.total, usage.free)


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
