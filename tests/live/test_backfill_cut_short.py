"""Backfills that are killed, and backfills of what is no catalog."""

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.icecat import catalog_items
from tests.live.asking import told
from tests.live.ledger import Ledger, deletes, storm, upserts
from tests.live.test_backfill import SCHEMA, write_feed
from tests.small_disk import SmallDisk

from kae.deploy.cluster import Cluster
from kae.encoders.fitting.build import build_codebook
from kae.sinks.store import keys
from kae.sinks.store.disk import DiskFull
from kae.sinks.store.store import ShardStore
from kae.streams.backfill.run import BackfillReport, run_backfill
from kae.streams.backfill.start import BackfillOptions, start_backfill
from kae.streams.errors import BackfillDiffers, BackfillFailed, CatalogInvalid, GenerationBegun
from kae.streams.topology.types import Topology

SHARDS = range(8)


@pytest.fixture
def pace(pace: dict[str, object], tmp_path: Path) -> dict[str, object]:
    return {**pace, "snapshots.url": str(tmp_path / "archive"), "catalog.revision": "revision"}


@pytest.fixture
def second(cluster: Cluster) -> Topology:
    return cluster.topology.edited({"generation": 2})


def plan(work: Path, *files: Path, rows: int = 500) -> BackfillOptions:
    return BackfillOptions(files=files, work=work, split_rows=rows, as_of_ms=1)


def run(topology: Topology, options: BackfillOptions) -> BackfillReport:
    return run_backfill(topology, options, start_backfill(topology, options))


def content(work: Path) -> list[dict[str, Any]]:
    """Every row of every store; of its state what does not name the epoch."""
    found = []
    for shard in SHARDS:
        store = ShardStore(work / "stores" / f"shard-{shard:04d}" / "store")
        rows: dict[str, Any] = store.dump()
        rows[keys.META] = (store.state.version, store.state.source, store.state.counts)
        found.append(rows)
        store.close()
    return found


def manifests(cluster: Cluster, generation: int) -> list[Path]:
    folder = Path(str(cluster.topology.snapshots.url))
    log = f"{cluster.topology.topics.prefix}.g{generation}.deltas"
    return list(folder.glob(f"{log}/*/manifests/*"))


def test_a_backfill_killed_at_random_moments_and_resumed_gives_the_same_bytes(
    cluster: Cluster, second: Topology, tmp_path: Path
) -> None:
    feed = write_feed(tmp_path / "dump.parquet", catalog_items(4000))
    whole = run(second, plan(tmp_path / "whole", feed))
    cut = tmp_path / "cut"
    chance = random.Random(7)
    # What has to be there before the kill: splits, then stores, then snapshots.
    moments: list[Callable[[], bool]] = [
        (cut / "job.json").exists,
        lambda: len(list(cut.glob("runs/*.json"))) >= 3,
        lambda: len(list(cut.glob("stores/shard-????/built.json"))) >= 4,
        lambda: len(manifests(cluster, 3)) >= 3,
    ]
    command = [
        "backfill", "run", str(feed), "--generation", "3", "--work", str(cut),
        "--split-rows", "500", "--as-of", "1970-01-01T00:00:00.001Z",
    ]  # fmt: skip
    for number, moment in enumerate(moments):
        process = cluster.command(f"backfill-{number}", *command)
        while not moment() and process.returncode is None:
            time.sleep(0.005)
        time.sleep(chance.random() * 0.05)
        process.kill()
        assert process.wait(10) == -signal.SIGKILL
        if number < 3:
            assert manifests(cluster, 3) == [], "a snapshot before every shard was built"
    # What two worker processes do again, after it was sealed, is the same.
    (cut / "runs" / "000007.json").unlink()
    for built in cut.glob("stores/*/built.json"):
        built.unlink()
    two = ("--direct_running_mode", "multi_processing", "--direct_num_workers", "2")
    report = told(cluster, *command, *two)
    assert report["resumed_rows"] == 3500
    assert [one["hash"] for one in report["shards"]] == [one.hash for one in whole.shards]
    assert content(cut) == content(tmp_path / "whole")
    assert len({manifest.parent for manifest in manifests(cluster, 3)}) == 8


def test_bad_rows_are_written_down_and_duplicates_hold_their_highest_revision(
    cluster: Cluster, second: Topology, tmp_path: Path
) -> None:
    items = catalog_items(40)
    old = write_feed(tmp_path / "old.parquet", items, revision=1)
    new = write_feed(tmp_path / "new.parquet", items[:10], revision=2)
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": "x", "title": "no revision", "revision": "soon"}\n{"id": \n')
    report = run(second, plan(tmp_path / "work", new, old, bad))
    assert (report.rows, report.items, report.stale, report.refused) == (52, 40, 10, 2)
    assert report.refused_file is not None
    assert len(Path(report.refused_file).read_text().splitlines()) == 2
    revisions = {}
    for shard in SHARDS:
        store = ShardStore(tmp_path / "work" / "stores" / f"shard-{shard:04d}" / "store")
        revisions.update({item.id: item.revision for item in store.items()})
        store.close()
    assert revisions == {item.id: 2 if n < 10 else 1 for n, item in enumerate(items)}


def test_the_items_topic_is_backfilled_to_where_it_ended_at_the_beginning(
    cluster: Cluster, second: Topology, ledger: Ledger, tmp_path: Path
) -> None:
    items = catalog_items(600)
    ledger.publish(storm(items, seed=8))
    expected = [ledger.hash(shard) for shard in SHARDS]
    options = BackfillOptions(files=(), work=tmp_path / "work", from_items=True, split_rows=40)
    job = start_backfill(second, options)
    ends = ledger.ends()
    ledger.publish(upserts(items[:50], revision=7))
    report = run_backfill(second, options, job)
    assert [one.hash for one in report.shards] == expected
    assert {one.shard: one.next_offset for one in report.shards} == ends
    assert (report.rows, report.refused) == (sum(ends.values()), 24)
    letters = told(cluster, "dead-letters", "list")["letters"]
    assert len(letters) == 24


def test_a_dump_and_the_events_since_it_began_are_one_backfill(
    cluster: Cluster, second: Topology, ledger: Ledger, tmp_path: Path
) -> None:
    items = catalog_items(300)
    ledger.publish(upserts(items[:200]))
    feed = write_feed(tmp_path / "dump.parquet", items[:200])
    as_of_ms = time.time_ns() // 1_000_000
    ledger.publish([*upserts(items[150:], revision=2), *deletes(items[:20], revision=3)])
    options = BackfillOptions((feed,), tmp_path / "work", from_items=True, as_of_ms=as_of_ms)
    job = start_backfill(second, options)
    assert start_backfill(second, options) == job  # as after a kill
    report = run_backfill(second, options, job)
    assert [one.hash for one in report.shards] == [ledger.hash(shard) for shard in SHARDS]
    assert {one.shard: one.next_offset for one in report.shards} == ledger.ends()
    assert report.rows == 200 + 170


def test_what_cannot_be_read_is_named_and_no_snapshot_comes_of_it(
    cluster: Cluster, second: Topology, tmp_path: Path
) -> None:
    feed = write_feed(tmp_path / "dump.parquet", catalog_items(600))
    whole = feed.read_bytes()
    nameless = tmp_path / "nameless.parquet"
    parquet.write_table(pa.Table.from_pylist([], SCHEMA).drop_columns(["title"]), nameless)
    with pytest.raises(CatalogInvalid, match="no column 'title'"):
        run(second, plan(tmp_path / "a", feed, nameless))
    feed.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CatalogInvalid, match="is no Parquet file"):
        run(second, plan(tmp_path / "b", feed))
    # Damaged within, so that it shows only when it is read.
    feed.write_bytes(whole[:100] + bytes(len(whole) // 2) + whole[100 + len(whole) // 2 :])
    with pytest.raises(BackfillFailed, match="is damaged"):
        run(second, plan(tmp_path / "c", feed))
    assert manifests(cluster, 2) == []
    feed.write_bytes(whole)
    with pytest.raises(BackfillDiffers, match="other files"):
        run(second, plan(tmp_path / "c", feed))
    with (
        SmallDisk(tmp_path / "disk", megabytes=20) as disk,
        pytest.raises(DiskFull, match="no room on the disk"),
    ):
        run(second, plan(disk.folder / "work", feed))
    assert manifests(cluster, 2) == []
    run(second, plan(tmp_path / "d", feed))
    with pytest.raises(GenerationBegun, match="was begun already"):
        run(second, plan(tmp_path / "e", feed))


def test_a_backfill_is_not_resumed_with_another_codebook(
    cluster: Cluster, second: Topology, tmp_path: Path
) -> None:
    feed = write_feed(tmp_path / "dump.parquet", catalog_items(600))
    start_backfill(second, plan(tmp_path / "work", feed))
    other = tmp_path / "other"
    groups, fields = second.codebook_groups, second.catalog.fields
    build_codebook(lambda: catalog_items(500), groups, fields, other)
    with pytest.raises(BackfillDiffers, match="other fingerprint"):
        run(second.edited({"codebook.path": str(other)}), plan(tmp_path / "work", feed))
