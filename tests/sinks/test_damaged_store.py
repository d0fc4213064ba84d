"""A byte of a store is flipped where it lies: found, named, and rebuilt; never read as if whole."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.sinks.test_beginnings import Kept, rows

from kae.encoders.attributes import Item
from kae.encoders.codebook import Codebook
from kae.sinks import keys
from kae.sinks.shard import Shard
from kae.sinks.store import ShardStore, StoreDamaged, StoreUnusable

Rows = dict[str, list[tuple[bytes, bytes]]]

# How many bytes of each file are flipped, one at a time.
FLIPS = 12
# RocksDB's own notes: it opens a store by its MANIFEST and what it is told.
NOTES = ("OPTIONS", "rocksdict")
# A MANIFEST whose end is lost may forget these alone, and nothing in the others tells.
UNTOLD = (keys.BINDINGS, keys.ATTACHED)


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


def without(dumped: Rows, families: Sequence[str]) -> Rows:
    return {name: rows for name, rows in dumped.items() if name not in families}


def flip(path: Path, at: int) -> None:
    whole = bytearray(path.read_bytes())
    whole[at] ^= 0x10
    path.write_bytes(whole)


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
        hidden = UNTOLD if path.name.startswith("MANIFEST") else ()
        for at in places(path) if path.stat().st_size else ():
            flip(path, at)
            found = whatever_is_read(folder)
            flip(path, at)
            if isinstance(found, str):
                assert str(folder) in found
                refused += 1
                continue
            assert path.name.startswith(NOTES) or hidden, f"{path.name}, byte {at}"
            same = without(found, hidden) == without(expected, hidden)
            assert same, f"{path.name}, byte {at}"
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


def test_items_that_are_gone_are_missed(line: Kept, tmp_path: Path) -> None:
    """As when RocksDB's MANIFEST is cut, and with its end the newest files are forgotten."""
    folder = laid(line, tmp_path / "laid")
    expected = line.shard.store.dump()
    (manifest,) = folder.glob("MANIFEST-*")
    whole = manifest.read_bytes()
    missed = 0
    for end in range(len(whole) // 2, len(whole), 7):
        manifest.write_bytes(whole[:end])
        found = whatever_is_read(folder)
        if isinstance(found, str):
            missed += "live items" in found or "none that says" in found
        else:
            assert without(found, UNTOLD) == without(expected, UNTOLD)
    assert missed


@pytest.mark.parametrize("with_snapshot", [True, False], ids=["a snapshot", "its log alone"])
def test_an_owner_whose_store_is_damaged_begins_anew_from(line: Kept, with_snapshot: bool) -> None:
    newest = line.snapshot() if with_snapshot else None
    line.grow()
    whole, folder = laid(line, line.root / "whole"), line.root / "damaged"
    for table in [path.name for path in tables(whole)]:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)
        flip(folder / table, (folder / table).stat().st_size // 3)
        shard = Shard(
            folder,
            line.deltas,
            owner="back",
            fingerprint=line.encoder.fingerprint,
            max_bytes=4096,
            write_buffer_bytes=1 << 20,
            snapshots=line.snapshots,
        )
        assert shard.begun_with == (str(newest.version) if newest else "")
        assert table in shard.passed_over[0]
        assert rows(shard.store) == rows(line.shard.store)
        shard.close()
