"""The items topic loses its beginning, its end, or all of it: one shard stops, and says so."""

import time
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition
from tests.fetching import fetch
from tests.live.asking import kae, told
from tests.live.killer import wait_for
from tests.live.ledger import Ledger, upserts
from tests.live.scrape import scrape
from tests.live.test_shard_requests import TERMS, answered, asking, shard, standing

from kae.deploy.cluster import Cluster
from kae.deploy.processes import Process
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.streams.kafka.topics import apply_topics

SHARD = 3


def admin(cluster: Cluster) -> KafkaAdminClient:
    return KafkaAdminClient(bootstrap_servers=cluster.topology.kafka.bootstrap)


def delete_before(cluster: Cluster, number: int, offset: int) -> None:
    """What retention does."""
    client = admin(cluster)
    client.delete_records({TopicPartition(cluster.topology.items_topic, number): offset})
    client.close()


def make_again(cluster: Cluster, topic: str) -> None:
    client = admin(cluster)
    client.delete_topics([topic])
    wait_for(lambda: topic not in client.list_topics(), "the topic to be gone")
    client.close()

    def is_made() -> bool:
        apply_topics(cluster.topology)
        return True

    wait_for(is_made, "the topic")


def homed(ledger: Ledger, catalog: list[Item], number: int, count: int) -> list[Item]:
    """Items of one shard."""
    found = [item for item in catalog if ledger.home(item.id) == number][:count]
    assert len(found) == count
    return found


def stopped(cluster: Cluster) -> dict[int, str]:
    return {n: one["stopped"] for n, one in standing(cluster).items() if one["stopped"]}


def status(cluster: Cluster, code: int | None = 0) -> Any:
    return told(cluster, "status", "--check", "--replica", cluster.replica.url, code=code)


def started(cluster: Cluster) -> Process:
    cluster.start_replica("replica", cluster.topology.replica.listen, wait=False)
    worker = cluster.start_worker("one", wait=False)
    cluster.wait_ready()
    return worker


def has_read(cluster: Cluster, offsets: dict[int, int]) -> bool:
    shown = standing(cluster)
    return all(shown[n]["source_next_offset"] == at for n, at in offsets.items())


@pytest.mark.timeout(240)
def test_retention_that_takes_unread_events_stops_that_shard_alone_and_they_count_as_lost(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], tmp_path: Path
) -> None:
    worker = started(cluster)
    items = homed(ledger, catalog, SHARD, 60)
    ledger.publish(upserts(items[:20]))
    wait_for(lambda: has_read(cluster, {SHARD: 20}), "the first items")
    shard(cluster, "pause", str(SHARD), "--yes")
    ledger.publish(upserts(items[20:]))
    delete_before(cluster, SHARD, 46)

    (cause,) = wait_for(lambda: stopped(cluster), "the shard to be stopped").values()
    topic = cluster.topology.items_topic
    assert cause == (
        f"{topic}/{SHARD} begins at 46, the shard goes on at 20: 26 events were deleted before it "
        "read them"
    )
    problems = status(cluster, code=3)["problems"]
    assert [one for one in problems if cause in one and "--to-earliest" in one]
    assert f"stopped: {SHARD}" in kae(cluster, "status", "--replica", cluster.replica.url).stdout
    listed = {one["shard"]: one["stopped"] for one in asking(cluster, "list")["shards"]}
    assert listed == {n: cause if n == SHARD else "" for n in range(8)}
    ready = fetch(f"{cluster.worker_url('one')}/readyz").json()
    assert ready == {"ready": True, "reasons": [f"shard {SHARD} has stopped: {cause}"]}
    for url in (cluster.worker_url("one"), cluster.replica.url):
        kind = "worker" if url != cluster.replica.url else "replica"
        assert scrape(url).value(f"kae_{kind}_shard_stopped", shard=str(SHARD)) == 1
        assert scrape(url).total(f"kae_{kind}_shard_stopped") == 1

    # The other shards of the worker go on, and so does it when it is started again.
    others = [item for item in catalog if ledger.home(item.id) != SHARD][:80]
    ledger.publish(upserts(others[:40]))
    rest = {n: at for n, at in ledger.ends().items() if n != SHARD}
    wait_for(lambda: has_read(cluster, rest), "the other shards")
    worker.terminate()
    cluster.start_worker("one")
    ledger.publish(upserts(others[40:]))
    rest = {n: at for n, at in ledger.ends().items() if n != SHARD}
    wait_for(lambda: has_read(cluster, rest), "the other shards")

    refused = kae(cluster, "shard", "resume", str(SHARD), "--yes", code=1).stderr
    assert f"shard {SHARD} has stopped" in refused
    replica = ("--replica", cluster.replica.url, "--yes")
    reset = ("shard", "reset", str(SHARD), "--to-earliest")
    refused = kae(cluster, *reset, *replica, code=1).stderr
    assert "26 events of" in refused
    assert "Give --accept-loss" in refused
    report = asking(cluster, *reset[1:], "--accept-loss", "--yes")
    assert answered(report) == [(SHARD, "done")]
    assert report["planned"][0]["lost"] == 26
    shard(cluster, "resume", str(SHARD), "--yes")
    wait_for(lambda: has_read(cluster, {SHARD: 60}), "what is left")
    counts = standing(cluster)[SHARD]["counts"]
    assert counts == {"read": 60, "put": 34, "dropped": 0, "stale": 0, "dead": 0, "lost": 26}
    current = status(cluster)
    assert (current["problems"], current["balanced"]) == ([], True)
    assert current["counts"]["lost"] == 26
    shown = kae(cluster, "status", "--replica", cluster.replica.url).stdout
    assert "lost 26: adds up" in shown
    told_events = scrape(cluster.worker_url("one"))
    assert told_events.total("kae_worker_shard_events_total", outcome="lost") == 26
    console = cluster.start_console()
    overview = fetch(f"{console}/api/overview").raise_for_status().json()["status"]
    assert overview["shards"][SHARD]["counts"] == counts
    assert '<td class="n">26</td><td>yes</td>' in fetch(f"{console}/").text
    verified = told(cluster, "log", "verify", "--replica", cluster.replica.url)
    assert verified["equal"]
    cluster.check()


@pytest.mark.parametrize("events", [10, 60], ids=["shorter", "longer"])
@pytest.mark.parametrize("running", [True, False], ids=["running", "restarted"])
@pytest.mark.timeout(240)
def test_an_items_topic_that_was_made_again_is_read_from_its_beginning_after_a_reset(
    events: int,
    running: bool,
    cluster: Cluster,
    ledger: Ledger,
    codebook: Codebook,
    catalog: list[Item],
) -> None:
    worker = started(cluster)
    items = homed(ledger, catalog, SHARD, 104)
    ledger.publish(upserts(items[:44]))
    wait_for(lambda: has_read(cluster, {SHARD: 44}), "the items")
    if not running:
        worker.terminate()
    make_again(cluster, cluster.topology.items_topic)
    second = Ledger(cluster.topology, codebook)
    second.publish(upserts(items[44 : 44 + events], 2))
    second.close()
    if not running:
        # The brokers' word is enough.
        problems = status(cluster, code=3)["problems"]
        assert [one for one in problems if one.startswith(f"shard {SHARD}: ")]
        worker = cluster.start_worker("one")

    cause = wait_for(lambda: stopped(cluster), "the shard to be stopped")[SHARD]
    if events < 44:
        assert f"ends at {events}, the shard goes on at 44" in cause
    else:
        assert "was deleted and made again" in cause
    (logged,) = worker.events("shard_stopped")
    assert (logged["shard"], logged["cause"]) == (SHARD, cause)
    status(cluster, code=3)
    report = asking(cluster, "reset", str(SHARD), "--to-earliest", "--yes")
    assert answered(report) == [(SHARD, "done")]
    wait_for(lambda: has_read(cluster, {SHARD: events}), "the new topic to be read")
    wait_for(lambda: standing(cluster)[SHARD]["live"] == 44 + events, "the items")
    counts = standing(cluster)[SHARD]["counts"]
    assert counts["read"] == counts["put"] + counts["stale"]
    assert counts["put"] == 44 + events
    wait_for(lambda: status(cluster, None)["problems"] == [], "the status to be good")
    cluster.check()


def test_a_terms_topic_that_was_made_again_is_told_and_not_followed(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    worker = started(cluster)
    ledger.publish([*TERMS, *upserts(catalog[:50])])
    wait_for(lambda: ledger.bindings_version() > 0, "the terms")
    make_again(cluster, cluster.topology.terms_topic)
    (told_so,) = wait_for(lambda: list(worker.events("registrar_stopped")), "the worker to tell it")
    topic = cluster.topology.terms_topic
    assert f"{topic}/0 ends at 0, the registrar goes on at 2" in told_so["cause"]
    assert scrape(cluster.worker_url("one")).value("kae_worker_terms_stopped") == 1
    problems = status(cluster, code=3)["problems"]
    assert [one for one in problems if one.startswith(f"the terms: {topic}/0 ends at 0")]
    ledger.publish(upserts(catalog[50:100]))
    wait_for(lambda: has_read(cluster, ledger.ends()), "items are still indexed")
    cluster.check()


@pytest.mark.parametrize("log", ["bindings", "control", "deltas"])
@pytest.mark.timeout(240)
def test_a_log_that_was_made_again_is_refused_by_its_name(
    log: str, cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    worker = started(cluster)
    replica = cluster.replica
    ledger.publish([*TERMS, *upserts(catalog[:100])])
    wait_for(lambda: has_read(cluster, ledger.ends()), "the items")
    wait_for(lambda: ledger.bindings_version() > 0, "the terms")
    time.sleep(3)  # whoever follows a log asks every two seconds which topic it is
    topology = cluster.topology
    topics = {
        "bindings": topology.bindings_topic,
        "control": topology.control_topic,
        "deltas": topology.deltas_topic,
    }
    make_again(cluster, topics[log])
    assert replica.process.wait(30) == 1
    assert topics[log] in replica.process.output()
    assert "another topic" in replica.process.output() or "made again" in replica.process.output()
    if log != "deltas":
        assert worker.wait(30) == 1
        assert topics[log] in worker.last_words()
        return
    ledger.publish(upserts(catalog[100:200]))
    wait_for(lambda: list(worker.events("shard_lost")), "the worker to give its shards up")
    assert all(topics[log] in told_so["cause"] for told_so in worker.events("shard_lost"))
    worker.terminate()
    cluster.start_worker("one")
    again = cluster.workers["one"]
    refused = wait_for(lambda: list(again.events("shard_lost")), "the logs to be refused")
    assert f"{topics[log]}/" in refused[0]["cause"]
    assert "ends at" in refused[0]["cause"]
