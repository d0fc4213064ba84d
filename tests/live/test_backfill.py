"""A generation that is backfilled while its items go on changing, beside the live one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.live.asking import told
from tests.live.flow import Flow
from tests.live.ledger import Ledger, bind, deletes, storm, upserts
from tests.live.storm import wait_for
from tests.live.test_snapshots import hashes
from tests.real_parts import catalog_items

from kae.deploy.brokers import ApacheKafka
from kae.deploy.cluster import Cluster
from kae.encoders.attributes import Item

SHARDS = range(8)


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


def test_a_backfilled_generation_that_caught_up_is_the_live_one(
    cluster: Cluster, kafka: ApacheKafka, ledger: Ledger, pace: dict[str, object], tmp_path: Path
) -> None:
    items = catalog_items(3000)
    live = cluster.start_replica("live")
    cluster.start_worker("one")
    ledger.publish([bind("zorblax", match="black"), *upserts(items[:2500])])
    as_of = datetime.now(UTC).isoformat()
    feed = write_feed(tmp_path / "dump.parquet", items[:2500])
    flow = Flow(ledger, [*storm(items, seed=5), *deletes(items[:40], revision=9)])
    report = backfill(cluster, str(feed), "--as-of", as_of, "--split-rows", "500")
    flow.end()
    assert report["items"] == 2500
    with next_generation(cluster, kafka, pace, tmp_path) as second:
        second.start_worker("two")
        new = second.start_replica("new")
        expected = [ledger.hash(shard) for shard in SHARDS]
        wait_for(lambda: hashes(live) == expected, "the live generation")
        wait_for(lambda: hashes(new) == expected, "the backfilled one")
        compared = told(cluster, "parity", "check", "--against", "2")
        assert compared["equal"] is True
        assert [one["hash"] for one in compared["shards"]] == expected
