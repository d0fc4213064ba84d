"""What a shard's store is opened from: the folder itself, a snapshot, or nothing at all.

Each candidate is opened and tried against the log. One that is damaged, ahead of the log, off its
chain, or older than what the log still holds is removed with a note of why, and the next is tried.
The last is an empty store. A log that has lost its beginning refuses it: a gap is an error, never a
state.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from kae.sinks.log.ownership import StoreDiverged
from kae.sinks.log.protocol import LogTruncated
from kae.sinks.store.disk import remove_atomically
from kae.sinks.store.rocks import StoreDamaged, StoreUnusable

# Puts one snapshot after the other at a folder, the newest first, and yields the name of each. It
# calls back with the reason for each snapshot that it skips.
SnapshotSource = Callable[[Path, Callable[[str], None]], Iterator[str]]
UNFIT_FOR_LOG = (StoreDiverged, LogTruncated)


def no_snapshots(_folder: Path, _note: Callable[[str], None]) -> Iterator[str]:
    return iter(())


def open_or_restore(
    folder: Path, snapshots: SnapshotSource, open_store: Callable[[], None], rejected: list[str]
) -> str:
    """Call `open_store` with one candidate after the other at the folder, until one opens.

    Returns the name of the snapshot that opened; empty for the folder's own store or an empty one.
    `rejected` receives why each of the others did not.
    Raises: LogTruncated, with all that was tried; what else `open_store` raises.
    """
    if folder.exists():
        try:
            open_store()
        except (*UNFIT_FOR_LOG, StoreDamaged) as error:
            rejected.append(f"the store: {error}")
            remove_atomically(folder)
        else:
            return ""
    for snapshot in snapshots(folder, rejected.append):
        try:
            open_store()
        except (*UNFIT_FOR_LOG, StoreUnusable) as error:
            rejected.append(f"snapshot {snapshot}: {error}")
            remove_atomically(folder)
        else:
            return snapshot
    try:
        open_store()
    except LogTruncated as error:
        remove_atomically(folder)
        tried = "; ".join(rejected) or "there is no snapshot"
        raise LogTruncated(
            f"{error}. Nothing that is left leads to what the log still holds: {tried}. Bring back "
            "a snapshot that does (snapshots.url in topology.yaml, `kae snapshot list`), or "
            "backfill a new generation"
        ) from error
    return ""
