"""What a shard's store may begin with: itself, a snapshot, or nothing at all.

Each is read and tried against the log; what is damaged, ahead of the log, beside it, or older than
what it still holds is removed and told, and the next is tried. The last is an empty store, which a
log without its beginning refuses: a gap is an error, never a state.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from kae.sinks.log.ownership import BesideLog
from kae.sinks.log.protocol import LogTruncated
from kae.sinks.store.disk import remove_whole
from kae.sinks.store.rocks import StoreDamaged, StoreUnusable

# Lays one snapshot after the other at a folder, the newest first, and yields what each is; it is
# told why some are passed over.
SnapshotSource = Callable[[Path, Callable[[str], None]], Iterator[str]]
UNFIT = (BesideLog, LogTruncated)


def no_snapshots(_folder: Path, _note: Callable[[str], None]) -> Iterator[str]:
    return iter(())


def begin_first(
    folder: Path, snapshots: SnapshotSource, begin: Callable[[], None], passed_over: list[str]
) -> str:
    """Call `begin` with one store after the other at the folder, until one is fit.

    Returns which snapshot it was; empty: the folder's own store, or an empty one.
    Raises: LogTruncated, with all that was tried; what else `begin` raises.
    """
    if folder.exists():
        try:
            begin()
        except (*UNFIT, StoreDamaged) as error:
            passed_over.append(f"the store: {error}")
            remove_whole(folder)
        else:
            return ""
    for snapshot in snapshots(folder, passed_over.append):
        try:
            begin()
        except (*UNFIT, StoreUnusable) as error:
            passed_over.append(f"snapshot {snapshot}: {error}")
            remove_whole(folder)
        else:
            return snapshot
    try:
        begin()
    except LogTruncated as error:
        remove_whole(folder)
        tried = "; ".join(passed_over) or "there is no snapshot"
        raise LogTruncated(
            f"{error}. Nothing that is left leads to what the log still holds: {tried}. Bring back "
            "a snapshot that does (snapshots.url in topology.yaml, `kae snapshot list`), or "
            "backfill a new generation"
        ) from error
    return ""
