"""The memory of processes that go on and on with the same catalog."""

import pytest
from tests.fetching import fetch
from tests.live.conftest import QUICK
from tests.live.killer import wait_for
from tests.live.ledger import Ledger, upserts
from tests.live.test_replica import get

from kae.deploy.cluster import Cluster
from kae.encoders.items import Item

pytestmark = [pytest.mark.long, pytest.mark.cold]
ROUNDS = 20
# What allocators, RocksDB's caches and the newest batches make of it; a leak of 1 KB an event, or
# of 12 KB a delta, would be more.
NOISE_BYTES = 40 << 20


def resident(url: str) -> float:
    text = fetch(f"{url}/metrics").raise_for_status().text
    name = "process_resident_memory_bytes"
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(name))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("pace", [{**QUICK, "stores.write_buffer_bytes": 1 << 20}])
def test_a_catalog_that_changes_again_and_again_takes_no_more_memory(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    cluster.start_worker("one", wait=False)
    replica = cluster.start_replica("replica-1", wait=False)
    cluster.wait_ready()

    def change(revisions: range) -> tuple[float, float]:
        for revision in revisions:
            ledger.publish(upserts(catalog, revision))
        wait_for(lambda: read() == ledger.published(), "the changes", 240)
        return resident(cluster.worker_url("one")), resident(replica.url)

    def read() -> int:
        shards = get(replica, "/status").json()["shards"]
        return sum(shard["counts"]["read"] for shard in shards)

    change(range(1, ROUNDS))
    before = change(range(ROUNDS, 2 * ROUNDS))
    after = change(range(2 * ROUNDS, 3 * ROUNDS))
    shown = [
        f"{was / 1e6:.0f} -> {now / 1e6:.0f} MB" for was, now in zip(before, after, strict=True)
    ]
    print(f"worker and replica after {ROUNDS * len(catalog):,} more events: {', '.join(shown)}")
    for was, now in zip(before, after, strict=True):
        assert now - was < NOISE_BYTES, shown
