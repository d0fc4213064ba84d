"""Replicas that are slow or stopped, and a line that is late: told, and in nobody's way."""

import json
import re
from typing import Any

import pytest
from tests.live.asking import kae
from tests.live.conftest import QUICK
from tests.live.killer import wait_for
from tests.live.ledger import Ledger, bind, upserts
from tests.live.test_replica import get, hashes, items

from kae.deploy.cluster import Cluster
from kae.encoders.items import Item
from kae.streams.cli.status import EXIT_OUT_OF_BOUNDS

pytestmark = pytest.mark.alone


def status(cluster: Cluster, *options: str) -> tuple[int, dict[str, Any]]:
    """The exit code of `kae status`, and what it printed."""
    asked = cluster.command("status", "status", "--json", *options)
    return asked.wait(30), asked.report()


def applied(cluster: Cluster, term: str) -> dict[str, Any]:
    stages = get(cluster.replica, f"/receipts/{term}").json().get("stages", [])
    return next((stage for stage in stages if stage["stage"] == "applied"), {})


@pytest.mark.parametrize("pace", [{**QUICK, "replica.lease_seconds": 15.0}])
def test_a_stopped_replica_is_named_and_blocks_no_writer(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    cluster.start_worker("one", wait=False)
    first = cluster.start_replica("replica-1", wait=False)
    second = cluster.start_replica("replica-2", wait=False)
    cluster.wait_ready()
    ledger.publish(upserts(catalog[:500]))
    wait_for(lambda: items(first) == items(second) == 500, "both replicas")
    second.process.pause()
    ledger.publish([bind("quietcore", where='brand = "hp"'), *upserts(catalog[500:])])
    wait_for(lambda: items(first) == len(catalog), "the rest to be indexed all the same")
    # While its lease lasts, a receipt waits for it, and says so.
    wait_for(lambda: applied(cluster, "quietcore").get("count") == 1, "the first to have the term")
    stage = applied(cluster, "quietcore")
    assert (stage["done"], stage["of"], stage["missing"]) == (False, 2, ["replica-2"])
    wait_for(lambda: applied(cluster, "quietcore")["done"], "the lease to be over")
    assert applied(cluster, "quietcore")["of"] == 1
    _, told = status(cluster, "--replica", first.url)
    silent = next(replica for replica in told["replicas"] if replica["replica"] == "replica-2")
    assert silent["live"] is False
    assert silent["behind"] > 0
    second.process.resume()
    wait_for(lambda: get(second, "/readyz").status_code == 200, "it to catch up")
    wait_for(lambda: items(second) == len(catalog), "it to have all items")
    assert hashes(second) == hashes(first)


@pytest.mark.parametrize("pace", [{**QUICK, "worker.session_timeout_seconds": 30.0}])
def test_a_campaign_that_waits_for_a_stopped_worker_names_its_shards(
    cluster: Cluster, catalog: list[Item], ledger: Ledger
) -> None:
    for name in ("one", "two"):
        cluster.start_worker(name, wait=False)
    replica = cluster.start_replica("replica-1", wait=False)
    cluster.wait_ready()
    ledger.publish(upserts(catalog[:200]))
    wait_for(lambda: items(replica) == 200, "the items")
    file = cluster.folder / "spring.json"
    words = [{"word": f"springword{n}", "selector": {"match": "black"}} for n in range(3)]
    file.write_text(json.dumps(words))
    stopped = next(w for w in cluster.workers.values() if registrar_of(cluster) != w.name)
    stopped.pause()
    bind = ("campaign", "bind", "spring", str(file), "--replica", replica.url)
    told = kae(cluster, *bind, "--timeout", "3", code=1).stderr
    assert re.search(r"0 of 3 terms are ready, 'springword0' is not attached by shard \d, sh", told)
    assert "after 3 s" in told
    stopped.resume()
    wait_for(lambda: "active active active" in shown(cluster, replica.url), "the campaign")


def registrar_of(cluster: Cluster) -> str:
    """The worker that keeps the bindings log, as it said when it was ready."""
    return next(
        worker.name
        for worker in cluster.workers.values()
        for told in list(worker.events("worker_ready"))[-1:]
        if told["registrar"]
    )


def shown(cluster: Cluster, replica: str) -> str:
    told = kae(cluster, "campaign", "show", "spring", "--json", "--replica", replica).stdout
    return " ".join(one["state"] for one in json.loads(told))


@pytest.mark.parametrize("pace", [{**QUICK, "limits.lag_seconds": 2.0}])
def test_a_lag_beyond_its_limit_fails_the_check_until_it_is_over(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    replica = cluster.start_replica("replica-1")
    where = ("--replica", replica.url)
    code, told = status(cluster, "--check", *where)
    assert (code, told["problems"]) == (0, [])
    ledger.publish(upserts(catalog[:400]))
    wait_for(lambda: status(cluster, "--check", *where)[0] == EXIT_OUT_OF_BOUNDS, "the limit")
    wait_for(lambda: len(status(cluster, *where)[1]["problems"]) == 8, "every shard to be late")
    code, told = status(cluster, *where)
    assert code == 0
    assert told["lag_events"] == 400
    assert all("limits.lag_seconds is 2" in problem for problem in told["problems"])
    shown = cluster.command("shown", "status", *where)
    assert shown.wait(30) == 0
    assert told["problems"][0].split(",")[0] in shown.output()

    cluster.start_worker("one")
    wait_for(lambda: items(replica) == 400, "the backlog to be indexed")
    code, told = status(cluster, "--check", *where)
    assert (code, told["problems"]) == (0, [])


def test_a_status_that_nobody_can_tell_is_an_error_and_no_finding(cluster: Cluster) -> None:
    assert status(cluster, "--check", "--replica", "http://127.0.0.1:1")[0] == 1
