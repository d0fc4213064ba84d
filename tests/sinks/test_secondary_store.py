"""A store that one process writes, and others of the machine read beside it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sinks.test_recovery import Kept

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.sinks.log.edits import Counts, Delta
from kae.sinks.store.rocks import StoreUnusable
from kae.sinks.store.store import ShardStore


@pytest.fixture
def line(codebook: Codebook, catalog: list[Item], tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(codebook, catalog, tmp_path)
    kept.grow()
    yield kept
    kept.close()


def test_a_reader_has_what_the_writer_had_and_another_what_it_has(
    line: Kept, tmp_path: Path
) -> None:
    writer = line.shard.store
    for turn in range(4):
        reader = ShardStore(writer.folder, secondary_folder=tmp_path / "notes")
        had = writer.dump()
        assert reader.state == writer.state
        line.grow()
        line.bind(f"zorblax{turn}")
        if turn % 2:
            writer.checkpoint(tmp_path / f"{turn}")  # writes tables and begins another log
        assert reader.dump() == had
        reader.check()
        reader.close()
    again = ShardStore(writer.folder, secondary_folder=tmp_path / "notes")
    assert again.state == writer.state
    assert again.bindings == writer.bindings
    assert again.content_hash() == writer.content_hash()
    items = list(writer.items())
    assert list(again.items()) == items
    assert [again.item(item.id) for item in items] == items
    again.close()


READER = """
import sys
from pathlib import Path
from kae.sinks.store import ShardStore
store = ShardStore(Path(sys.argv[1]), secondary_folder=Path(sys.argv[2]))
print(store.state.version, store.content_hash())
"""


def test_another_process_reads_what_is_held_open(line: Kept, tmp_path: Path) -> None:
    writer = line.shard.store
    argv = [sys.executable, "-c", READER, str(writer.folder), str(tmp_path / "notes")]
    read = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    assert read.stdout.split() == [str(writer.state.version), writer.content_hash()]


def test_what_is_read_beside_takes_no_writes(line: Kept, tmp_path: Path) -> None:
    reader = ShardStore(line.shard.store.folder, secondary_folder=tmp_path / "notes")
    state = reader.state
    nothing = Delta(state.epoch, state.version + 1, state.hash, 0, 1, 0, state.source, Counts(), ())
    with pytest.raises(Exception, match="Not supported"):
        reader.apply(nothing, state.log_state())
    reader.close()


def test_a_store_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="nothing"):
        ShardStore(tmp_path / "nothing", secondary_folder=tmp_path / "notes")
    assert not any((tmp_path / "nothing").glob("*.sst"))
