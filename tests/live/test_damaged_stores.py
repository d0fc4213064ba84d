"""Stores of a worker are damaged while it is stopped: it rebuilds them, and goes on meanwhile."""

import shutil
from pathlib import Path

import pytest
from tests.fetching import fetch
from tests.live.asking import told
from tests.live.killer import wait_for
from tests.live.ledger import Ledger, bind, upserts
from tests.live.test_replica import hashes, items

from kae.deploy.cluster import Cluster
from kae.encoders.items import Item
from kae.sinks.store.store import ShardStore

# Small, so that rows are written to tables, which a worker reads from again.
BUFFER = 1 << 16


@pytest.fixture
def pace(pace: dict[str, object]) -> dict[str, object]:
    return {**pace, "stores.write_buffer_bytes": BUFFER}


def spoil(table: Path) -> None:
    """Alter a byte in every block, and leave the file in its place."""
    with table.open("r+b") as file:
        for at in range(100, table.stat().st_size - 2048, 1024):
            file.seek(at)
            byte = file.read(1)
            file.seek(at)
            file.write(bytes([byte[0] ^ 0x10]))


def test_a_worker_rebuilds_damaged_stores_and_waits_for_one_that_the_system_refuses(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    replica = cluster.start_replica("replica-1", wait=False)
    worker = cluster.start_worker("one", wait=False)
    cluster.wait_ready()
    ledger.publish([bind("zorblax", match="black"), *upserts(catalog[:400])])
    wait_for(lambda: items(replica) == 400, "the items")
    worker.terminate()
    stores = [cluster.folder / "one" / "g1" / f"shard-{n:04}" for n in range(8)]
    for path in stores[0].glob("MANIFEST-*"):
        path.unlink()
    (stores[1] / "CURRENT").unlink()
    for path in stores[2].glob("MANIFEST-*"):
        path.write_bytes(path.read_bytes()[:40])
    for path in stores[3].iterdir():
        path.write_bytes(b"")
    shutil.rmtree(stores[4])
    stores[4].write_bytes(b"no store")
    for path in [*stores[5].glob("OPTIONS-*"), stores[5] / "IDENTITY"]:
        path.unlink()  # nothing is read from these
    held = ShardStore(stores[6])

    worker = cluster.start_worker("one")
    url = cluster.worker_url("one")
    (unusable,) = worker.events("store_unusable")
    assert unusable["shard"] == 6
    assert "Another worker or replica has it open" in unusable["cause"]
    ready = fetch(f"{url}/readyz")
    assert ready.status_code == 503
    assert ready.json()["reasons"] == [f"shard 6: {unusable['cause']}"]
    passed_over = {one["shard"]: one["cause"] for one in worker.events("store_passed_over")}
    assert sorted(passed_over) == [0, 1, 2, 3, 4]
    for shard, cause in passed_over.items():
        assert cause.startswith(f"the store: {stores[shard]}: the store is damaged: ")

    ledger.publish(upserts(catalog[400:500]))
    others = [n for n in range(8) if n != 6]
    wait_for(lambda: all(hashes(replica)[n] == ledger.hash(n) for n in others), "the other shards")
    held.close()
    wait_for(lambda: fetch(f"{url}/readyz").status_code == 200, "the shard to be claimed again")
    wait_for(lambda: hashes(replica) == [ledger.hash(n) for n in range(8)], "all shards")
    (usable,) = worker.events("store_usable")
    assert usable["shard"] == 6
    cluster.check()


@pytest.mark.timeout(240)
def test_a_file_that_is_damaged_while_a_worker_runs_costs_one_shard_a_moment_and_no_item(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    replica = cluster.start_replica("replica-1", cluster.topology.replica.listen, wait=False)
    worker = cluster.start_worker("one", wait=False)
    cluster.wait_ready()
    ledger.publish([bind("zorblax", match="black"), *upserts(catalog)])
    wait_for(lambda: items(replica) == len(catalog), "the items")
    store = cluster.folder / "one" / "g1" / "shard-0003"
    wait_for(lambda: any(store.glob("*.sst")), "rows in tables")
    for table in store.glob("*.sst"):
        spoil(table)
    revisions = iter(range(2, 50))

    def update() -> bool:
        ledger.publish(upserts(catalog, next(revisions)))
        return any(worker.events("shard_lost"))

    wait_for(update, "the worker to meet the damage")
    lost = list(worker.events("shard_lost"))
    assert {one["shard"] for one in lost} == {3}
    assert f"{store}: the store is damaged: " in lost[0]["cause"]
    wait_for(lambda: any(worker.events("store_passed_over")), "the store to be discarded")
    (passed_over,) = worker.events("store_passed_over")
    assert passed_over["shard"] == 3
    wait_for(lambda: hashes(replica) == [ledger.hash(n) for n in range(8)], "all shards")
    assert told(cluster, "dead-letters", "list")["letters_found"] == 0
    cluster.check()
