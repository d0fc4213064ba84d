"""The disk and memory that a store takes besides its rows are bounded."""

import contextlib
import os
import re
import time
from pathlib import Path

import msgspec
import pytest
from pyroaring import BitMap

from kae.sinks.log.edits import (
    GENESIS,
    Attach,
    Counts,
    Delta,
    DropItem,
    Edit,
    SourceRange,
    encode_edit,
)
from kae.sinks.log.fold import LogState
from kae.sinks.store import keys
from kae.sinks.store.rocks import CACHE_BYTES, WAL_BUFFERS, StoreUnusable
from kae.sinks.store.store import ShardStore

BUFFER = 1 << 16


def apply(store: ShardStore, *edits: Edit) -> None:
    version = store.state.version + 1
    raw = tuple(msgspec.Raw(encode_edit(edit)) for edit in edits)
    delta = Delta(1, version, GENESIS, 0, 1, 0, SourceRange(version), Counts(), raw)
    store.apply(delta, LogState(epoch=1, version=version))


def kept(folder: Path) -> int:
    """The bytes of a store's write-ahead logs."""
    total = 0
    for log in folder.glob("*.log"):
        with contextlib.suppress(FileNotFoundError):  # they go while they are counted
            total += log.stat().st_size
    return total


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_a_family_that_is_seldom_written_does_not_keep_the_write_ahead_log(
    folder: Path,
) -> None:
    store = ShardStore(folder, BUFFER)
    apply(store, Attach(7, "zorblax", 0, 1, BitMap().serialize()))
    for number in range(40 * 16):
        apply(store, DropItem(os.urandom(BUFFER // 32).hex(), -1, number, bytes(8)))
    # RocksDB puts them away in a thread of its own.
    until = time.monotonic() + 10
    while kept(folder) > (WAL_BUFFERS + 1) * BUFFER:
        assert time.monotonic() < until, f"{kept(folder):,} bytes of logs"
    store.close()
    assert ShardStore(folder, BUFFER).bindings.keys() == {7}


def test_a_store_that_a_newer_kae_wrote_is_refused_with_its_remedy(folder: Path) -> None:
    store = ShardStore(folder, BUFFER)
    apply(store, DropItem("a", -1, 1, bytes(8)))
    newer = msgspec.msgpack.encode([keys.FORMAT + 1, {"of": "another shape"}])
    store._rocks._families[keys.META][keys.STATE] = newer
    store.close()
    error = f"store format {keys.FORMAT + 1}, this kae reads {keys.FORMAT}. Delete the folder"
    with pytest.raises(StoreUnusable, match=error):
        ShardStore(folder, BUFFER)


def test_the_column_families_of_a_store_share_one_cache(folder: Path) -> None:
    store = ShardStore(folder, BUFFER)
    log = (folder / "LOG").read_text()
    store.close()
    assert len(set(re.findall(r" block_cache: (\S+)", log))) == 1
    assert set(re.findall(r" capacity : (\d+)", log)) == {str(CACHE_BYTES)}
