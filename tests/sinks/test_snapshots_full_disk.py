"""A full disk under an archive or a fetched store is reported, and leaves nothing half written."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sinks.test_snapshots import Growing, anything, newest
from tests.small_disk import SmallDisk

from kae.sinks.snapshots.archive import Archive, ArchiveUnreachable
from kae.sinks.snapshots.fetch import fetch_newest_first
from kae.sinks.snapshots.prune import survey
from kae.sinks.store.disk import DiskFull
from kae.sinks.store.store import ShardStore


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Growing]:
    made = Growing(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with SmallDisk(tmp_path / "disk", megabytes=8) as small:
        yield small


def test_an_archive_without_room_says_so_and_keeps_the_snapshot_before(
    source: Growing, disk: SmallDisk
) -> None:
    archive = Archive.open(str(disk.folder / "archive"), "log/0")
    before = source.take(archive)
    source.grow()
    checkpoint = source.checkpoint()
    disk.fill()
    with pytest.raises(ArchiveUnreachable, match=r"No space left on device.*has space"):
        source.put(archive, checkpoint)
    assert newest(archive, source) == (1, [])
    disk.free()
    taken = source.put(archive, checkpoint)
    assert newest(archive, source) == (2, [])
    assert survey(archive, set()).whole.keys() == {before.name, taken.name}


def test_a_fetch_without_room_says_so_and_leaves_no_store(
    source: Growing, disk: SmallDisk, tmp_path: Path
) -> None:
    archive = Archive.open(str(tmp_path / "archive"), "log/0")
    source.take(archive)
    folder = disk.folder / "stores" / "store"
    disk.fill()
    with pytest.raises(DiskFull, match=r"no room on the disk.*Make room there"):
        next(fetch_newest_first(archive, folder, anything, lambda _reason: None))
    assert not folder.exists()
    disk.free()
    next(fetch_newest_first(archive, folder, anything, lambda _reason: None))
    store = ShardStore(folder, 1 << 16)
    assert store.dump() == source.rows[1]
    store.close()
