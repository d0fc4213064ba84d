"""A worker dies with a large catalog in its shards: the other one answers for them, in seconds."""

import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from tests.fetching import fetch
from tests.live.killer import wait_for
from tests.live.ledger import Ledger, bind, upserts

from kae.bench.feed import bench_items
from kae.deploy.brokers import ApacheKafka
from kae.deploy.cluster import Cluster
from kae.deploy.processes import Process
from kae.encoders.items import Item

pytestmark = pytest.mark.alone
ITEMS = 100_000
WITHIN_SECONDS = 15.0  # a promise to users, of which worker.session_timeout_seconds is a part


@pytest.fixture
def cluster(kafka: ApacheKafka, codebook_folder: Path, tmp_path: Path) -> Iterator[Cluster]:
    """Two workers and a replica, paced as topology.yaml says."""
    changes = {"topics.prefix": tmp_path.name, "codebook.path": str(codebook_folder)}
    with Cluster(tmp_path / "cluster", kafka, changes=changes) as running:
        yield running


class Stream:
    """The catalog's items again and again, a few at a time, each time newer than before."""

    def __init__(self, ledger: Ledger, items: list[Item]) -> None:
        self._ledger = ledger
        self._items = cycle(items)
        self._revision = 1

    def go_on(self) -> None:
        self._revision += 1
        self._ledger.publish(upserts([next(self._items) for _ in range(40)], self._revision))


def shards(cluster: Cluster) -> dict[int, dict[str, Any]]:
    """What the replica answers from, shard by shard."""
    answer = fetch(f"{cluster.replica.url}/status")
    return {shard["shard"]: shard for shard in answer.raise_for_status().json()["shards"]}


def indexed(cluster: Cluster, ledger: Ledger) -> bool:
    ends = {shard: shown["source_next_offset"] for shard, shown in shards(cluster).items()}
    return ends == ledger.ends()


def last_assignment(worker: Process) -> dict[str, Any]:
    return list(worker.events("worker_ready"))[-1]


def test_the_shards_of_a_killed_worker_go_on_in_the_other_within_15_seconds(
    cluster: Cluster, ledger: Ledger
) -> None:
    items = list(bench_items(ITEMS))
    ledger.publish(upserts(items))
    wait_for(lambda: indexed(cluster, ledger), "the catalog to be indexed", 90)
    stream = Stream(ledger, items)
    stream.go_on()
    # The one with the terms too: the registrar has to move with the shards.
    dying = next(w for w in cluster.workers.values() if last_assignment(w)["registrar"])
    orphans = last_assignment(dying)["shards"]
    assert 0 < len(orphans) < cluster.topology.shards
    epochs = {shard: shown["epoch"] for shard, shown in shards(cluster).items()}

    dying.kill()
    killed_at = time.monotonic()
    ledger.publish([bind("quietcore", where='brand = "hp"')])
    before = ledger.ends()
    # What the dead had in hand lies before these offsets, and what comes from now on after them.
    while not all(
        shown["source_next_offset"] > before[shard] and shown["bindings_version"] == 1
        for shard, shown in shards(cluster).items()
    ):
        assert time.monotonic() - killed_at < 60, "the shards of the dead worker stand still"
        stream.go_on()
        time.sleep(0.05)
    seconds = time.monotonic() - killed_at
    print(f"{len(orphans)} of 8 shards of {ITEMS:,} items went on after {seconds:.1f} s")

    wait_for(lambda: indexed(cluster, ledger), "the stream to be indexed")
    for shard, shown in shards(cluster).items():
        assert shown["epoch"] == epochs[shard] + (shard in orphans)
        assert shown["counts"]["read"] == shown["counts"]["put"] == ledger.ends()[shard]
    assert sum(shown["live"] for shown in shards(cluster).values()) == ITEMS
    assert seconds < WITHIN_SECONDS
