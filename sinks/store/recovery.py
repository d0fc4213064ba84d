"""What a shard's store is opened from: the folder itself, a snapshot, or nothing at all.

Each candidate is opened and tried against the log. One that is damaged, of another format, off the
log's chain, or older than what the log still holds is removed with a note of why, and the next is
tried. The last is an empty store. A log that has lost its beginning refuses it: a gap is an error,
never a state. So is a log that ends before what the folder's own store has folded; a snapshot ahead
of it is passed over. A store that the system refuses (permissions, a full or broken disk, a lock)
may be whole: it stays, and is an error.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from kae.sinks.log.ownership import StoreDiverged
from kae.sinks.log.protocol import LogEnded, LogTruncated
from kae.sinks.store.disk import remove_atomically
from kae.sinks.store.rocks import StoreDamaged, StoreForeign, StoreUnusable

# Puts one snapshot after the other at a folder, the newest first, and yields the name of each. It
# calls back with the reason for each snapshot that it skips.
SnapshotSource = Callable[[Path, Callable[[str], None]], Iterator[str]]
UNFIT_FOR_LOG = (StoreDiverged, LogTruncated)
UNFIT = (*UNFIT_FOR_LOG, StoreDamaged, StoreForeign)


def no_snapshots(_folder: Path, _note: Callable[[str], None]) -> Iterator[str]:
    return iter(())


def open_or_restore(
    folder: Path, snapshots: SnapshotSource, open_store: Callable[[], None], rejected: list[str]
) -> str:
    """Call `open_store` with one candidate after the other at the folder, until one opens.

    Returns the name of the snapshot that opened; empty for the folder's own store or an empty one.
    `rejected` receives why each of the others did not.
    Raises: LogTruncated, with all that was tried; LogEnded, and the store is kept; StoreUnusable;
    what else `open_store` raises.
    """
    if os.path.lexists(folder):
        try:
            open_store()
        except LogEnded as error:
            raise LogEnded(
                f"{error}. If it was emptied on purpose, delete {folder} while no worker runs"
            ) from error
        except UNFIT as error:
            rejected.append(f"the store: {error}")
            discard(folder)
        else:
            return ""
    for snapshot in snapshots(folder, rejected.append):
        try:
            open_store()
        except (*UNFIT_FOR_LOG, StoreUnusable) as error:
            rejected.append(f"snapshot {snapshot}: {error}")
            discard(folder)
        else:
            return snapshot
    try:
        open_store()
    except LogTruncated as error:
        discard(folder)
        tried = "; ".join(rejected) or "there is no snapshot"
        raise LogTruncated(
            f"{error}. Nothing that is left leads to what the log still holds: {tried}. Bring back "
            "a snapshot that does (snapshots.url in topology.yaml, `kae snapshot list`), or "
            "backfill a new generation"
        ) from error
    return ""


def discard(folder: Path) -> None:
    """Remove a store that is rebuilt. Raises: StoreUnusable when the system does not allow it."""
    try:
        remove_atomically(folder)
    except OSError as error:
        raise StoreUnusable(
            f"{folder}: has to be rebuilt, and cannot be removed: {error.strerror or error}. "
            "Correct the folder's permissions, its mount or its disk, or use another --data"
        ) from error
