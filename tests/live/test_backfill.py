"""A generation that is backfilled, and cut over to and back, while its items go on changing."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.icecat import catalog_items
from tests.live.asking import told
from tests.live.killer import wait_for
from tests.live.ledger import Event, Ledger, bind, deletes, storm, upserts
from tests.live.streaming import Stream
from tests.live.successors import announce_both, generations

from kae.deploy.brokers import ApacheKafka
from kae.deploy.cluster import Cluster
from kae.encoders.items import Item

SHARDS = range(8)
# Up to 19,406, the whole catalog.
ITEMS = int(os.environ.get("KAE_TEST_BACKFILLED", "3000"))


@pytest.fixture
def pace(pace: dict[str, object], tmp_path: Path) -> dict[str, object]:
    return {**pace, "snapshots.url": str(tmp_path / "archive"), "catalog.revision": "revision"}


SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("title", pa.string()),
        ("description", pa.string()),
        ("revision", pa.int64()),
        ("fields", pa.map_(pa.string(), pa.list_(pa.string()))),
    ]
)


def write_feed(path: Path, items: Sequence[Item], revision: int = 1) -> Path:
    """A dump of these items as Parquet, in row groups of 500."""
    rows = [
        {
            "id": item.id,
            "title": item.title,
            "description": item.description,
            "revision": revision,
            "fields": [(k, v if isinstance(v, list) else [v]) for k, v in item.fields.items()],
        }
        for item in items
    ]
    parquet.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path, row_group_size=500)
    return path


def backfill(cluster: Cluster, *arguments: str, code: int = 0) -> Any:
    return told(cluster, "backfill", "run", *arguments, "--generation", "2", code=code)


def next_generation(
    cluster: Cluster, kafka: ApacheKafka, pace: dict[str, object], tmp_path: Path
) -> Cluster:
    """The second generation's processes, on the same broker."""
    changes = {
        **pace,
        "topics.prefix": cluster.topology.topics.prefix,
        "codebook.path": cluster.topology.codebook.path,
        "generation": 2,
    }
    folder = tmp_path / "second"
    return Cluster(folder, kafka, shards=8, workers=0, replicas=0, changes=changes)


def churn(items: Sequence[Item], revision: int) -> list[Event]:
    """Updates, every one of them a second time, stale ones, and deletes."""
    changed = [Item(i.id, o.title, o.description, o.fields) for i, o in pairwise(items)]
    updates = upserts(changed, revision)
    return [*updates, *updates, *upserts(items[:100]), *deletes(items[::5], revision + 1)]


@pytest.mark.timeout(200)
def test_a_backfilled_generation_is_the_live_one_after_promote_rollback_and_promote(
    cluster: Cluster, kafka: ApacheKafka, ledger: Ledger, pace: dict[str, object], tmp_path: Path
) -> None:
    items = catalog_items(ITEMS)
    first, last = items[: ITEMS * 5 // 6], items[-200:]
    live = cluster.start_replica("live", cluster.topology.replica.listen, wait=False)
    cluster.start_worker("one", wait=False)
    cluster.wait_ready()
    ledger.publish([bind("zorblax", match="black"), *upserts(first)])
    as_of = datetime.now(UTC).isoformat()
    feed = write_feed(tmp_path / "dump.parquet", first)
    stream = Stream(ledger, [*storm(items, seed=5), *deletes(items[:40], revision=9)])
    report = backfill(cluster, str(feed), "--as-of", as_of, "--split-rows", "500")
    stream.end()
    assert report["items"] == len(first)
    with next_generation(cluster, kafka, pace, tmp_path) as second:
        second.start_worker("two", wait=False)
        new = second.start_replica("new", wait=False)
        second.wait_ready()
        announce_both(cluster, second.topology)
        for turn, command in enumerate((("promote", "2"), ("rollback",), ("promote", "2"))):
            stream = Stream(ledger, churn(last, revision=10 * (turn + 1)))
            switched = told(cluster, "generation", *command)
            stream.end()
            assert (switched["generation"], switched["replicas"]) == (2 - turn % 2, ["live", "new"])
            expected = [ledger.hash(shard) for shard in SHARDS]
            for replica in (live, new):
                wait_for(partial(has_both, replica.url, expected), f"{replica.url} to have both")
        compared = told(cluster, "parity", "check", "--against", "2")
        assert compared["equal"] is True
        assert [one["hash"] for one in compared["shards"]] == expected


def has_both(url: str, expected: list[str]) -> bool:
    """Whether both generations have this content in a replica."""
    told_of = generations(url, hashed=True).generations
    return [[s.hash for s in one.status.shards] for one in told_of] == [expected] * 2
