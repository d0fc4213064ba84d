"""Backfills on a Dask cluster: workers that are killed, and workers that do not share a disk."""

import os
import time
from pathlib import Path

import pytest
from tests.icecat import catalog_items
from tests.live.asking import kae
from tests.live.dask_cluster import DaskCluster, reads
from tests.live.test_backfill import write_feed
from tests.live.test_backfill_cut_short import content, manifests, plan, run

from kae.deploy.cluster import Cluster
from kae.streams.topology.types import Topology

# Up to 19,406, the whole catalog; enough for a worker to be killed amid its work.
ITEMS = int(os.environ.get("KAE_TEST_DASK_ITEMS", "6000"))
SPLIT_ROWS = 500


@pytest.fixture
def pace(pace: dict[str, object], tmp_path: Path) -> dict[str, object]:
    return {**pace, "snapshots.url": str(tmp_path / "archive"), "catalog.revision": "revision"}


def asked(feed: Path, work: Path, dask: DaskCluster, generation: int) -> list[str]:
    return [
        "backfill", "run", str(feed), "--generation", str(generation), "--work", str(work),
        "--split-rows", str(SPLIT_ROWS), "--as-of", "1970-01-01T00:00:00.001Z",
        "--runner", "DaskRunner", "--dask_scheduler_file", str(dask.address),
    ]  # fmt: skip


@pytest.mark.timeout(180)
def test_a_dask_cluster_that_loses_a_worker_gives_the_same_bytes_as_one_process(
    cluster: Cluster, tmp_path: Path
) -> None:
    feed = write_feed(tmp_path / "dump.parquet", catalog_items(ITEMS))
    second: Topology = cluster.topology.edited({"generation": 2})
    work = tmp_path / "spread"
    with DaskCluster(tmp_path / "dask") as dask:
        one, two = dask.start_worker("one"), dask.start_worker("two")
        dask.wait_ready()
        command = cluster.command("backfill", *asked(feed, work, dask, 3), "--json")
        # Stopped as it reads, so that it cannot end what it does before it is killed.
        while not reads(one, feed) and command.running:
            time.sleep(0.002)
        one.pause()
        while not reads(two, feed) and command.running:
            time.sleep(0.002)
        finished = len(list(work.glob("runs/*.json")))
        one.kill()
        assert command.wait(100) == 0, command.last_words()
        assert two.running
        assert "Remove worker" in dask.scheduler.output()
    assert finished < ITEMS / SPLIT_ROWS, "the worker was killed too late"
    whole = run(second, plan(tmp_path / "whole", feed))
    report = command.report()
    assert [one["hash"] for one in report["shards"]] == [one.hash for one in whole.shards]
    assert content(work) == content(tmp_path / "whole")
    assert len({manifest.parent for manifest in manifests(cluster, 3)}) == cluster.topology.shards


def test_a_worker_that_does_not_share_the_disk_is_named_and_nothing_is_written_to_the_archive(
    cluster: Cluster, tmp_path: Path
) -> None:
    feed = write_feed(tmp_path / "dump.parquet", catalog_items(600))
    work = tmp_path / "spread"
    work.mkdir()
    # The work folder of a machine of its own: another disk under the same path.
    mounted = f"mount -t tmpfs none '{work}' && exec \"$@\""
    alone = ["unshare", "--mount"]
    if os.geteuid() != 0:
        alone += ["--user", "--map-root-user"]
    with DaskCluster(tmp_path / "dask") as dask:
        dask.start_worker("one", within=(*alone, "sh", "-c", mounted, "sh"))
        dask.wait_ready()
        refused = kae(cluster, *asked(feed, work, dask, 2), code=1).stderr
    assert f"{work}/job.json is not there" in " ".join(refused.split())
    assert "put them on a disk that all of them share" in " ".join(refused.split())
    assert manifests(cluster, 2) == []
