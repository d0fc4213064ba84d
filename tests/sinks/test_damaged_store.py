"""A store with a flipped byte is detected, named and rebuilt, and never read as if it was whole."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rocksdict import Options, Rdict
from tests.sinks.test_recovery import ArchivedPipeline, rows

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.sinks.shard import Shard
from kae.sinks.store import keys
from kae.sinks.store.disk import DiskFull
from kae.sinks.store.plan import Upsert
from kae.sinks.store.rocks import StoreDamaged, StoreUnusable, named
from kae.sinks.store.store import ShardStore

Rows = dict[str, list[tuple[bytes, bytes]]]

# How many bytes of each file are flipped, one at a time.
FLIPS = 12
# Files that RocksDB does not open a store from.
NOTES = ("OPTIONS", "rocksdict")
EMPTY: Rows = {name: [] for name in keys.COLUMN_FAMILIES}


@pytest.fixture
def pipeline(codebook: Codebook, catalog: list[Item], tmp_path: Path) -> Iterator[ArchivedPipeline]:
    made = ArchivedPipeline(codebook, catalog, tmp_path)
    for _ in range(4):
        made.grow()
    made.bind("zorblax")
    yield made
    made.close()


def checkpoint(pipeline: ArchivedPipeline, folder: Path) -> Path:
    """The files of the pipeline's store."""
    pipeline.shard.store.checkpoint(folder)
    return folder


def rows_or_error(folder: Path) -> Rows | str:
    """The rows of a store that passes its checks, or why it is refused."""
    try:
        store = ShardStore(folder, read_only=True)
        try:
            store.check()
            return store.dump()
        finally:
            store.close()
    except StoreUnusable as error:
        return str(error)


def flip(path: Path, at: int) -> None:
    whole = bytearray(path.read_bytes())
    whole[at] ^= 0x10
    path.write_bytes(whole)


def restore_rows(folder: Path, family: str, rows: list[tuple[bytes, bytes]]) -> None:
    """Give one column family of a closed store the rows that it had before."""
    with_all = {name: Options(raw_mode=True) for name in keys.COLUMN_FAMILIES}
    whole = Rdict(str(folder), Options(raw_mode=True), column_families=with_all)
    opened = whole.get_column_family(family)
    for key in list(opened.keys()):
        del opened[key]
    for key, row in rows:
        opened[key] = row
    opened.close()
    whole.close()


def places(path: Path) -> range:
    size = path.stat().st_size
    return range(0, size, max(1, size // FLIPS))


def tables(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix == ".sst")


def test_a_flipped_byte_anywhere_is_refused_or_changes_nothing(
    pipeline: ArchivedPipeline, tmp_path: Path
) -> None:
    folder = checkpoint(pipeline, tmp_path / "checkpoint")
    expected = pipeline.shard.store.dump()
    refused = 0
    for path in sorted(folder.iterdir()):
        for at in places(path) if path.stat().st_size else ():
            flip(path, at)
            found = rows_or_error(folder)
            flip(path, at)
            if isinstance(found, str):
                assert str(folder) in found
                refused += 1
                continue
            assert path.name.startswith(NOTES), f"{path.name}, byte {at}"
            assert found == expected, f"{path.name}, byte {at}"
    assert refused > FLIPS * len(tables(folder)) // 2
    assert rows_or_error(folder) == expected


def test_rows_do_not_end_at_a_block_that_cannot_be_read(
    pipeline: ArchivedPipeline, tmp_path: Path
) -> None:
    """rocksdict's iterators end there without an error."""
    folder = checkpoint(pipeline, tmp_path / "checkpoint")
    largest = max(tables(folder), key=lambda path: path.stat().st_size)
    flip(largest, largest.stat().st_size // 2)
    store = ShardStore(folder, read_only=True)
    for read in (store.items, store.content_hash, store.dump, store.check):
        with pytest.raises(StoreDamaged, match=rf"{largest.name}.*Delete the folder"):
            list(read() or ())
    store.close()


def grow(pipeline: ArchivedPipeline, _items: list[Item]) -> None:
    pipeline.grow()


def put_again(pipeline: ArchivedPipeline, items: list[Item]) -> None:
    pipeline.items += [Upsert(item.id, pipeline.now(), b"", item) for item in items[:40]]
    pipeline.drain()


def bind(pipeline: ArchivedPipeline, _items: list[Item]) -> None:
    pipeline.bind("flumquix")


@pytest.mark.parametrize("change", [grow, put_again, bind])
def test_a_truncated_manifest_is_detected(
    pipeline: ArchivedPipeline,
    catalog: list[Item],
    tmp_path: Path,
    change: Callable[[ArchivedPipeline, list[Item]], None],
) -> None:
    """RocksDB opens it without the newest files of some column families."""
    checkpoint(pipeline, tmp_path / "before")
    whole_ones = [EMPTY, pipeline.shard.store.dump()]
    change(pipeline, catalog)
    whole_ones.append(pipeline.shard.store.dump())
    folder = checkpoint(pipeline, tmp_path / "checkpoint")
    (manifest,) = folder.glob("MANIFEST-*")
    whole = manifest.read_bytes()
    detected = 0
    for end in range(0, len(whole), 11):
        manifest.write_bytes(whole[:end])
        found = rows_or_error(folder)
        if isinstance(found, str):
            assert str(folder) in found
            detected += "the store is damaged" in found
        else:
            assert found in whole_ones, f"cut at byte {end}"
    assert detected


@pytest.mark.parametrize(
    ("change", "family", "loss"),
    [
        (grow, keys.ITEMS, "live items"),
        (grow, keys.TRIE, "live items"),
        (put_again, keys.ITEMS, "its items are not those of version"),
        (bind, keys.BINDINGS, "items of binding 2, but not the binding"),
        (bind, keys.ATTACHED, "its terms and their items are not those of version"),
        (grow, keys.META, "its terms and their items are not those of version"),
        (put_again, keys.META, "its items are not those of version"),
        (bind, keys.META, "its terms and their items are not those of version"),
    ],
)
def test_old_rows_of_one_column_family_are_named(
    pipeline: ArchivedPipeline,
    catalog: list[Item],
    tmp_path: Path,
    change: Callable[[ArchivedPipeline, list[Item]], None],
    family: str,
    loss: str,
) -> None:
    """RocksDB flushes each column family on its own."""
    before = pipeline.shard.store.dump()[family]
    change(pipeline, catalog)
    folder = checkpoint(pipeline, tmp_path / "checkpoint")
    restore_rows(folder, family, before)
    found = rows_or_error(folder)
    assert isinstance(found, str)
    assert f"{folder}: the store is damaged" in found
    assert loss in found


@pytest.mark.parametrize("with_snapshot", [True, False], ids=["a snapshot", "its log alone"])
def test_an_owner_whose_store_is_damaged_restores_it_from(
    pipeline: ArchivedPipeline, with_snapshot: bool
) -> None:
    newest = pipeline.snapshot() if with_snapshot else None
    before = pipeline.shard.store.dump()[keys.ITEMS]
    pipeline.grow()
    whole, folder = checkpoint(pipeline, pipeline.root / "whole"), pipeline.root / "damaged"
    for table in [*tables(whole), None]:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)
        if table:
            flip(folder / table.name, table.stat().st_size // 3)
        else:
            restore_rows(folder, keys.ITEMS, before)
        shard = Shard(
            folder,
            pipeline.log,
            owner="back",
            fingerprint=pipeline.encoder.fingerprint,
            max_bytes=4096,
            write_buffer_bytes=1 << 20,
            snapshots=pipeline.snapshots,
        )
        assert shard.restored_from == (str(newest.version) if newest else "")
        assert str(folder) in shard.rejected[0]
        assert rows(shard.store) == rows(pipeline.shard.store)
        shard.close()


def lose(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip_the_middle(path: Path) -> None:
    if path.stat().st_size:
        flip(path, path.stat().st_size // 2)


def put_a_folder_there(path: Path) -> None:
    path.unlink()
    path.mkdir()


def owner(pipeline: ArchivedPipeline, folder: Path) -> Shard:
    return Shard(
        folder,
        pipeline.log,
        owner="back",
        fingerprint=pipeline.encoder.fingerprint,
        max_bytes=4096,
        write_buffer_bytes=1 << 20,
    )


@pytest.mark.parametrize("damage", [lose, cut, empty, flip_the_middle, put_a_folder_there])
def test_an_owner_has_a_whole_store_whichever_file_of_it_is(
    pipeline: ArchivedPipeline, damage: Callable[[Path], None]
) -> None:
    expected = rows(pipeline.shard.store)
    whole, folder = checkpoint(pipeline, pipeline.root / "whole"), pipeline.root / "damaged"
    passed_over = set()
    for name in sorted(path.name for path in whole.iterdir()):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)
        damage(folder / name)
        shard = owner(pipeline, folder)
        assert rows(shard.store) == expected, name
        if shard.rejected:
            (reason,) = shard.rejected
            assert reason.startswith(f"the store: {folder}: the store is damaged: "), name
            passed_over.add(name)
        shard.close()
    content = {path.name for path in whole.iterdir() if path.suffix == ".sst"}
    content |= {path.name for path in whole.iterdir() if path.name.startswith("MANIFEST")}
    assert passed_over >= content | {"CURRENT"}


def test_an_owner_discards_a_file_in_the_place_of_its_store(pipeline: ArchivedPipeline) -> None:
    folder = pipeline.root / "damaged"
    folder.write_bytes(b"no store")
    shard = owner(pipeline, folder)
    assert "it is a file, not a folder" in shard.rejected[0]
    assert rows(shard.store) == rows(pipeline.shard.store)
    shard.close()


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EACCES, StoreUnusable),
        (errno.EROFS, StoreUnusable),
        (errno.EIO, StoreUnusable),
        (errno.EMFILE, StoreUnusable),
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.ENOENT, StoreDamaged),
    ],
    ids=errno.errorcode.get,
)
def test_what_is_the_systems_is_not_taken_for_damage(
    number: int, kind: type[Exception], tmp_path: Path
) -> None:
    said = Exception(f"IO error: While open a file for random read: x: {os.strerror(number)}")
    assert type(named(tmp_path, said)) is kind


def test_a_store_that_the_system_refuses_stays_as_it_is(pipeline: ArchivedPipeline) -> None:
    """Here the store is open twice: whoever has it goes on."""
    with pytest.raises(StoreUnusable, match="has it open: stop that one or use another --data"):
        owner(pipeline, pipeline.shard.folder)
    pipeline.grow()
    pipeline.shard.store.check()
