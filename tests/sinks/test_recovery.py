"""What a shard begins with: its store, a snapshot, its log, and never with a gap."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
from tests.sinks.lines import MAX_BYTES, Line

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.encoders.selector import Selector
from kae.sinks.log.protocol import LogTruncated, MemoryLog
from kae.sinks.log.term_changes import Bind
from kae.sinks.shard import Shard
from kae.sinks.snapshots.archive import Archive
from kae.sinks.snapshots.fetch import fetch_newest_first
from kae.sinks.snapshots.manifest import Manifest, SnapshotOrigin
from kae.sinks.snapshots.take import take_snapshot
from kae.sinks.store.plan import Upsert
from kae.sinks.store.recovery import SnapshotSource
from kae.sinks.store.store import ShardStore


class Kept(Line):
    """A line with an archive beside it."""

    def __init__(self, codebook: Codebook, items: list[Item], folder: Path) -> None:
        self.deltas = MemoryLog("deltas/0")
        super().__init__(codebook, self.deltas, MemoryLog("bindings"))
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

    def another(self, snapshots: SnapshotSource | None = None) -> Shard:
        """The next owner, on a machine of its own."""
        self.folder += 1
        return Shard(
            self.root / f"worker-{self.folder}",
            self.deltas,
            owner="another",
            fingerprint=self.encoder.fingerprint,
            max_bytes=MAX_BYTES,
            write_buffer_bytes=1 << 20,
            snapshots=snapshots or self.snapshots,
        )

    def snapshots(self, folder: Path, note: Callable[[str], None]) -> Iterator[str]:
        for manifest in fetch_newest_first(self.archive, folder, lambda _manifest: "", note):
            yield str(manifest.version)


@pytest.fixture
def line(codebook: Codebook, catalog: list[Item], tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(codebook, catalog, tmp_path)
    kept.grow()
    kept.bind("zorblax")
    yield kept
    kept.close()


def rows(store: ShardStore) -> object:
    """Everything but who owns it."""
    return {name: found for name, found in store.dump().items() if name != "meta"}


def prove(line: Kept, shard: Shard) -> None:
    assert shard.store.state.version == line.shard.store.state.version
    assert shard.store.state.hash == line.shard.store.state.hash
    assert shard.store.state.counts == line.shard.store.state.counts
    assert rows(shard.store) == rows(line.shard.store)


def test_a_new_owner_begins_with_the_newest_snapshot_and_follows_the_log(line: Kept) -> None:
    line.snapshot()
    line.grow()
    newest = line.snapshot()
    line.grow()
    line.deltas.begins_at = newest.offset  # nothing older is read
    shard = line.another()
    assert (shard.restored_from, shard.rejected) == (str(newest.version), [])
    prove(line, shard)
    shard.close()


def test_a_snapshot_ahead_of_the_log_or_beside_it_is_passed_over_for_the_one_before(
    line: Kept,
) -> None:
    fit = line.snapshot()
    line.grow()
    line.snapshot()
    beside = line.deltas.records[fit.offset + 1 :]
    del line.deltas.records[fit.offset + 1 :]
    ahead = line.another()
    assert ahead.restored_from == str(fit.version)
    assert "the log ends at" in ahead.rejected[0]
    ahead.close()
    line.deltas.records += [record[:-1] + b"\x00" for record in beside]
    other = line.another()
    assert other.restored_from == str(fit.version)
    assert "holds another record" in other.rejected[0]
    other.close()


def test_a_store_that_the_log_no_longer_reaches_gives_way_to_a_snapshot(line: Kept) -> None:
    folder = line.shard.folder
    line.shard.close()
    line.shard = line.another()
    line.grow()
    newest = line.snapshot()
    line.deltas.begins_at = newest.offset
    shard = Shard(
        folder,
        line.deltas,
        owner="back",
        fingerprint=line.encoder.fingerprint,
        max_bytes=MAX_BYTES,
        write_buffer_bytes=1 << 20,
        snapshots=line.snapshots,
    )
    assert shard.restored_from == str(newest.version)
    assert shard.rejected[0].startswith("the store: deltas/0: offset")
    prove(line, shard)
    shard.close()


def test_a_log_without_its_beginning_is_refused_when_no_snapshot_reaches_it(line: Kept) -> None:
    too_old = line.snapshot()
    line.grow()
    line.deltas.begins_at = too_old.offset + 1
    with pytest.raises(LogTruncated) as refused:
        line.another()
    assert f"snapshot {too_old.version}: deltas/0: offset {too_old.offset} is gone" in str(
        refused.value
    )
    assert "backfill a new generation" in str(refused.value)


def test_a_log_that_lost_a_segment_in_its_midst_is_refused(line: Kept) -> None:
    line.grow()

    class Gapped(MemoryLog):
        def read(self, offset: int) -> Iterator[tuple[int, bytes]]:
            return (found for found in super().read(offset) if found[0] not in (3, 4))

    gapped = Gapped("deltas/0")
    gapped.records = line.deltas.records
    line.deltas = gapped
    with pytest.raises(LogTruncated, match="offset 3 is gone, the next record is 5"):
        line.another()
