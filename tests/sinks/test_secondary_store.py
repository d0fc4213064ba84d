"""Other processes read a store while its owner writes it, as RocksDB secondaries."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sinks.test_recovery import ArchivedPipeline

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.sinks.log.edits import Counts, Delta
from kae.sinks.store.rocks import StoreUnusable
from kae.sinks.store.store import ShardStore


@pytest.fixture
def pipeline(codebook: Codebook, catalog: list[Item], tmp_path: Path) -> Iterator[ArchivedPipeline]:
    made = ArchivedPipeline(codebook, catalog, tmp_path)
    made.grow()
    yield made
    made.close()


def test_a_reader_keeps_the_version_it_opened_and_a_new_one_has_the_newest(
    pipeline: ArchivedPipeline, tmp_path: Path
) -> None:
    writer = pipeline.shard.store
    for turn in range(4):
        reader = ShardStore(writer.folder, secondary_folder=tmp_path / "secondary")
        had = writer.dump()
        assert reader.state == writer.state
        pipeline.grow()
        pipeline.bind(f"zorblax{turn}")
        if turn % 2:
            writer.checkpoint(tmp_path / f"{turn}")  # writes tables and begins another log
        assert reader.dump() == had
        reader.check()
        reader.close()
    again = ShardStore(writer.folder, secondary_folder=tmp_path / "secondary")
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
from kae.sinks.store.store import ShardStore
store = ShardStore(Path(sys.argv[1]), secondary_folder=Path(sys.argv[2]))
print(store.state.version, store.content_hash())
"""


def test_another_process_reads_a_store_that_is_open(
    pipeline: ArchivedPipeline, tmp_path: Path
) -> None:
    writer = pipeline.shard.store
    argv = [sys.executable, "-c", READER, str(writer.folder), str(tmp_path / "secondary")]
    read = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    assert read.stdout.split() == [str(writer.state.version), writer.content_hash()]


def test_a_secondary_takes_no_writes(pipeline: ArchivedPipeline, tmp_path: Path) -> None:
    reader = ShardStore(pipeline.shard.store.folder, secondary_folder=tmp_path / "secondary")
    state = reader.state
    nothing = Delta(state.epoch, state.version + 1, state.hash, 0, 1, 0, state.source, Counts(), ())
    with pytest.raises(Exception, match="Not supported"):
        reader.apply(nothing, state.log_state())
    reader.close()


def test_a_missing_store_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="nothing"):
        ShardStore(tmp_path / "nothing", secondary_folder=tmp_path / "secondary")
    assert not any((tmp_path / "nothing").glob("*.sst"))
