"""A byte of a store is flipped where it lies: found, named, and rebuilt; never read as if whole."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rocksdict import Options, Rdict
from tests.sinks.test_recovery import Kept, rows

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.sinks.shard import Shard
from kae.sinks.store import keys
from kae.sinks.store.plan import Upsert
from kae.sinks.store.rocks import StoreDamaged, StoreUnusable
from kae.sinks.store.store import ShardStore

Rows = dict[str, list[tuple[bytes, bytes]]]

# How many bytes of each file are flipped, one at a time.
FLIPS = 12
# RocksDB's own notes: it opens a store by its MANIFEST and what it is told.
NOTES = ("OPTIONS", "rocksdict")
EMPTY: Rows = {name: [] for name in keys.COLUMN_FAMILIES}


@pytest.fixture
def line(codebook: Codebook, catalog: list[Item], tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(codebook, catalog, tmp_path)
    for _ in range(4):
        kept.grow()
    kept.bind("zorblax")
    yield kept
    kept.close()


def laid(line: Kept, folder: Path) -> Path:
    """The files of the line's store, as RocksDB has put them away."""
    line.shard.store.checkpoint(folder)
    return folder


def whatever_is_read(folder: Path) -> Rows | str:
    """The rows of a store that says it is whole, or why it is refused."""
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


def put_back(folder: Path, family: str, rows: list[tuple[bytes, bytes]]) -> None:
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


def test_a_flipped_byte_anywhere_is_refused_or_changes_nothing(line: Kept, tmp_path: Path) -> None:
    folder = laid(line, tmp_path / "laid")
    expected = line.shard.store.dump()
    refused = 0
    for path in sorted(folder.iterdir()):
        for at in places(path) if path.stat().st_size else ():
            flip(path, at)
            found = whatever_is_read(folder)
            flip(path, at)
            if isinstance(found, str):
                assert str(folder) in found
                refused += 1
                continue
            assert path.name.startswith(NOTES), f"{path.name}, byte {at}"
            assert found == expected, f"{path.name}, byte {at}"
    assert refused > FLIPS * len(tables(folder)) // 2
    assert whatever_is_read(folder) == expected


def test_rows_do_not_end_at_a_block_that_cannot_be_read(line: Kept, tmp_path: Path) -> None:
    """rocksdict's iterators do, without a word."""
    folder = laid(line, tmp_path / "laid")
    largest = max(tables(folder), key=lambda path: path.stat().st_size)
    flip(largest, largest.stat().st_size // 2)
    store = ShardStore(folder, read_only=True)
    for read in (store.items, store.content_hash, store.dump, store.check):
        with pytest.raises(StoreDamaged, match=rf"{largest.name}.*Delete the folder"):
            list(read() or ())
    store.close()


def grow(line: Kept, _items: list[Item]) -> None:
    line.grow()


def put_again(line: Kept, items: list[Item]) -> None:
    line.items += [Upsert(item.id, line.now(), b"", item) for item in items[:40]]
    line.drain()


def bind(line: Kept, _items: list[Item]) -> None:
    line.bind("flumquix")


@pytest.mark.parametrize("change", [grow, put_again, bind])
def test_a_manifest_that_lost_its_end_hides_nothing(
    line: Kept,
    catalog: list[Item],
    tmp_path: Path,
    change: Callable[[Kept, list[Item]], None],
) -> None:
    """RocksDB opens it, and the newest files of some column families are forgotten."""
    laid(line, tmp_path / "before")
    whole_ones = [EMPTY, line.shard.store.dump()]
    change(line, catalog)
    whole_ones.append(line.shard.store.dump())
    folder = laid(line, tmp_path / "laid")
    (manifest,) = folder.glob("MANIFEST-*")
    whole = manifest.read_bytes()
    told = 0
    for end in range(0, len(whole), 11):
        manifest.write_bytes(whole[:end])
        found = whatever_is_read(folder)
        if isinstance(found, str):
            assert str(folder) in found
            told += "the store is damaged" in found
        else:
            assert found in whole_ones, f"cut at byte {end}"
    assert told


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
def test_rows_that_stayed_behind_are_told_by_what_they_are(
    line: Kept,
    catalog: list[Item],
    tmp_path: Path,
    change: Callable[[Kept, list[Item]], None],
    family: str,
    loss: str,
) -> None:
    """Whichever column family it is: RocksDB writes each of them when it likes."""
    before = line.shard.store.dump()[family]
    change(line, catalog)
    folder = laid(line, tmp_path / "laid")
    put_back(folder, family, before)
    found = whatever_is_read(folder)
    assert isinstance(found, str)
    assert f"{folder}: the store is damaged" in found
    assert loss in found


@pytest.mark.parametrize("with_snapshot", [True, False], ids=["a snapshot", "its log alone"])
def test_an_owner_whose_store_is_damaged_begins_anew_from(line: Kept, with_snapshot: bool) -> None:
    newest = line.snapshot() if with_snapshot else None
    before = line.shard.store.dump()[keys.ITEMS]
    line.grow()
    whole, folder = laid(line, line.root / "whole"), line.root / "damaged"
    for table in [*tables(whole), None]:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)
        if table:
            flip(folder / table.name, table.stat().st_size // 3)
        else:
            put_back(folder, keys.ITEMS, before)
        shard = Shard(
            folder,
            line.deltas,
            owner="back",
            fingerprint=line.encoder.fingerprint,
            max_bytes=4096,
            write_buffer_bytes=1 << 20,
            snapshots=line.snapshots,
        )
        assert shard.restored_from == (str(newest.version) if newest else "")
        assert str(folder) in shard.rejected[0]
        assert rows(shard.store) == rows(line.shard.store)
        shard.close()
