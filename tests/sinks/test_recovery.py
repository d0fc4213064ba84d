"""A shard opens its own store, a snapshot or an empty store, and never one with a gap."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
from tests.sinks.pipeline import Pipeline

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.encoders.selector import Selector
from kae.sinks.log.protocol import LogEnded, LogTruncated, MemoryLog
from kae.sinks.log.term_changes import Bind
from kae.sinks.shard import Shard
from kae.sinks.snapshots.archive import Archive
from kae.sinks.snapshots.fetch import fetch_newest_first
from kae.sinks.snapshots.manifest import Manifest, SnapshotOrigin
from kae.sinks.snapshots.take import take_snapshot
from kae.sinks.store.plan import Upsert
from kae.sinks.store.recovery import SnapshotSource
from kae.sinks.store.store import ShardStore


class ArchivedPipeline(Pipeline):
    """A pipeline with an archive of snapshots."""

    def __init__(self, codebook: Codebook, items: list[Item], folder: Path) -> None:
        self.log = MemoryLog("deltas/0")
        super().__init__(codebook, self.log, MemoryLog("bindings"))
        self.archive = Archive.open(str(folder / "archive"), "deltas/0")
        self._unused = iter(items)

    def grow(self) -> None:
        self.items += [Upsert(item.id, self.now(), b"", item) for item in islice(self._unused, 40)]
        self.drain()

    def bind(self, term: str) -> None:
        selector = Selector(match="black")
        self.terms.append(Bind(term, self.now(), (), 0, 0, selector, "", "", self.now()))
        self.drain()

    def snapshot(self) -> Manifest:
        checkpoint = self.root / f"checkpoint-{self.now()}"
        self.shard.store.checkpoint(checkpoint)
        origin = SnapshotOrigin("deltas/0", 1, 0, "w", self.now())
        return take_snapshot(self.archive, checkpoint, self.shard.store.state, origin).manifest

    def next_owner(self, snapshots: SnapshotSource | None = None) -> Shard:
        """The next owner, on another machine."""
        self._owners += 1
        return self.open_shard(owner=self.owner, snapshots=snapshots or self.snapshots)

    def snapshots(self, folder: Path, note: Callable[[str], None]) -> Iterator[str]:
        for manifest in fetch_newest_first(self.archive, folder, lambda _manifest: "", note):
            yield str(manifest.version)


@pytest.fixture
def pipeline(codebook: Codebook, catalog: list[Item], tmp_path: Path) -> Iterator[ArchivedPipeline]:
    made = ArchivedPipeline(codebook, catalog, tmp_path)
    made.grow()
    made.bind("zorblax")
    yield made
    made.close()


def rows(store: ShardStore) -> object:
    """Everything but who owns it."""
    return {name: found for name, found in store.dump().items() if name != "meta"}


def assert_same_state(pipeline: ArchivedPipeline, shard: Shard) -> None:
    assert shard.store.state.version == pipeline.shard.store.state.version
    assert shard.store.state.hash == pipeline.shard.store.state.hash
    assert shard.store.state.counts == pipeline.shard.store.state.counts
    assert rows(shard.store) == rows(pipeline.shard.store)


def test_a_new_owner_restores_the_newest_snapshot_and_reads_on_in_the_log(
    pipeline: ArchivedPipeline,
) -> None:
    pipeline.snapshot()
    pipeline.grow()
    newest = pipeline.snapshot()
    pipeline.grow()
    pipeline.log.begins_at = newest.offset  # nothing older is read
    shard = pipeline.next_owner()
    assert (shard.restored_from, shard.rejected) == (str(newest.version), [])
    assert_same_state(pipeline, shard)
    shard.close()


def test_a_snapshot_ahead_of_the_log_or_off_its_chain_is_rejected_for_the_one_before(
    pipeline: ArchivedPipeline,
) -> None:
    fit = pipeline.snapshot()
    pipeline.grow()
    pipeline.snapshot()
    removed = pipeline.log.records[fit.offset + 1 :]
    del pipeline.log.records[fit.offset + 1 :]
    ahead = pipeline.next_owner()
    assert ahead.restored_from == str(fit.version)
    assert "the log ends at" in ahead.rejected[0]
    ahead.close()
    pipeline.log.records += [record[:-1] + b"\x00" for record in removed]
    other = pipeline.next_owner()
    assert other.restored_from == str(fit.version)
    assert "holds another record" in other.rejected[0]
    other.close()


def test_a_log_that_ends_before_its_store_is_refused_and_the_store_of_another_log_discarded(
    pipeline: ArchivedPipeline,
) -> None:
    pipeline.grow()
    folder = pipeline.shard.folder
    before = rows(pipeline.shard.store)
    pipeline.shard.close()

    def open_on(log: MemoryLog) -> Shard:
        pipeline.deltas = [log]
        return pipeline.open_shard(owner=pipeline.owner)

    cut = MemoryLog("deltas/0")
    cut.records = pipeline.log.records[:2]
    with pytest.raises(LogEnded, match="deltas/0: the log ends at or before"):
        open_on(cut)
    assert len(cut.records) == 2  # nothing was claimed
    kept = ShardStore(folder)
    assert rows(kept) == before
    kept.close()
    other = MemoryLog("deltas/1")
    other.records = pipeline.log.records[:2]
    shard = open_on(other)
    assert shard.rejected == ["the store: deltas/1: the store is a fold of deltas/0"]
    assert shard.store.state.version == 1
    shard.close()
    pipeline.shard = pipeline.next_owner()


def test_a_store_older_than_the_log_is_replaced_by_a_snapshot(pipeline: ArchivedPipeline) -> None:
    former = pipeline.owner
    pipeline.shard.close()
    pipeline.shard = pipeline.next_owner()
    pipeline.grow()
    newest = pipeline.snapshot()
    pipeline.log.begins_at = newest.offset
    shard = pipeline.open_shard(owner=former, snapshots=pipeline.snapshots)
    assert shard.restored_from == str(newest.version)
    assert shard.rejected[0].startswith("the store: deltas/0: offset")
    assert_same_state(pipeline, shard)
    shard.close()


def test_a_log_without_its_beginning_is_refused_if_every_snapshot_is_too_old(
    pipeline: ArchivedPipeline,
) -> None:
    too_old = pipeline.snapshot()
    pipeline.grow()
    pipeline.log.begins_at = too_old.offset + 1
    with pytest.raises(LogTruncated) as refused:
        pipeline.next_owner()
    assert f"snapshot {too_old.version}: deltas/0: offset {too_old.offset} is gone" in str(
        refused.value
    )
    assert "backfill a new generation" in str(refused.value)


def test_a_log_with_a_gap_is_refused(pipeline: ArchivedPipeline) -> None:
    pipeline.grow()

    class Gapped(MemoryLog):
        def read(self, offset: int) -> Iterator[tuple[int, bytes]]:
            return (found for found in super().read(offset) if found[0] not in (3, 4))

    gapped = Gapped("deltas/0")
    gapped.records = pipeline.log.records
    pipeline.deltas = [gapped]
    with pytest.raises(LogTruncated, match="offset 3 is gone, the next record is 5"):
        pipeline.next_owner()
