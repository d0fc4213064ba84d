"""The HTTP server of running workers: it exposes the listed metrics, with true values."""

import socket

import pytest
from kafka import TopicPartition
from tests.fetching import fetch
from tests.live.conftest import SHARDS
from tests.live.killer import wait_for
from tests.live.ledger import Ledger, bind, deletes, undecodables, upserts
from tests.live.scrape import Scrape, scrape
from tests.live.test_bad_start import ends, said

from kae.deploy.cluster import WORKER_READY, Cluster
from kae.deploy.processes import logged
from kae.encoders.items import Item
from kae.streams.kafka.lag import FETCH_BYTES, read_lags
from kae.streams.kafka.log import KafkaClients
from kae.streams.telemetry.metrics import METRICS


def scraped(cluster: Cluster) -> list[Scrape]:
    return [scrape(cluster.worker_url(name)) for name in cluster.workers]


def read(cluster: Cluster) -> float:
    return sum(one.total("kae_worker_shard_read_total") for one in scraped(cluster))


def test_two_workers_tell_every_metric_of_the_list_and_their_sums_are_the_input(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    cluster.start_worker("one", wait=False)
    cluster.start_worker("two", wait=False)
    cluster.wait_ready()
    items = catalog[:800]
    ledger.publish([*upserts(items), *undecodables(10), *deletes(items[:50], 2)])
    ledger.publish(upserts(items[:20]))  # stale
    ledger.publish([bind("quietcore", where='brand = "hp"')])
    wait_for(lambda: read(cluster) == ledger.published(), "the input to be accounted for")
    wait_for(
        lambda: (
            all(len(s.shards("kae_worker_shard_lag_events")) == 4 for s in scraped(cluster))
            and sum(s.total("kae_worker_terms_read_total") for s in scraped(cluster)) == 1
        ),
        "the lags and the term",
    )
    told = scraped(cluster)
    names = {metric.name for metric in METRICS if metric.process == "worker"}
    assert told[0].families | told[1].families == names

    def total(name: str, **labels: str) -> float:
        return sum(one.total(name, **labels) for one in told)

    for outcome in ("put", "dropped", "stale", "dead"):
        expected = sum(getattr(ledger.counts(shard), outcome) for shard in range(SHARDS))
        assert total("kae_worker_shard_events_total", outcome=outcome) == expected, outcome
    assert total("kae_worker_shard_unbalanced") == 0
    assert total("kae_worker_shard_items") == 750
    assert total("kae_worker_shard_lag_events") == total("kae_worker_shard_lag_seconds") == 0
    assert total("kae_worker_shard_highwater_offset") == ledger.published()
    assert total("kae_worker_batch_events_sum") == ledger.published()
    assert total("kae_worker_shard_appended_bytes_total") > 800 * 200
    assert total("kae_worker_shard_store_bytes") > 0
    assert total("kae_worker_stage_seconds_count", stage="apply") == total(
        "kae_worker_shard_deltas_total"
    )
    assert total("kae_worker_registrar") == 1
    assert total("kae_worker_slots_free") == total("kae_worker_slots_reserved") - 1
    held = [one.shards("kae_worker_shard_epoch") for one in told]
    assert held[0] | held[1] == set(range(SHARDS))
    assert not held[0] & held[1]
    for one in told:
        assert one.value("kae_worker_ready") == 1
        assert one.value("kae_worker_generation_shards") == SHARDS


def test_a_worker_is_ready_once_it_holds_what_it_was_assigned(cluster: Cluster) -> None:
    worker = cluster.start_worker("one", wait=False)
    worker.wait_ready(logged("worker_listening"))
    url = cluster.worker_url("one")
    early = fetch(f"{url}/readyz")
    assert early.status_code == 503
    assert early.json()["reasons"] == ["the group has not assigned shards to it yet"]
    worker.wait_ready(logged(WORKER_READY))
    ready = fetch(f"{url}/readyz")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": []})
    assert fetch(f"{url}/livez").json() == {"live": True}
    unknown = fetch(f"{url}/metric")
    assert unknown.status_code == 404
    assert unknown.json() == {"error": "/metric: ask /metrics, /livez or /readyz"}


def test_a_worker_whose_address_is_taken_tells_it_and_claims_nothing(cluster: Cluster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        line = said(cluster.command("late", "worker", "run", "--listen", listen))
    assert f"{listen}: cannot listen there: Address already in use" in line
    assert "choose another with --listen or worker.listen" in line
    assert ends(cluster, cluster.topology.deltas_topic) == 0


@pytest.mark.parametrize("pace", [{"worker.listen": None}])
def test_a_worker_without_an_address_listens_nowhere(cluster: Cluster) -> None:
    cluster.start_worker("one")
    with pytest.raises(LookupError, match="one does not listen"):
        cluster.worker_url("one")


def test_the_lag_is_what_the_topic_holds_beyond_and_how_old_the_first_of_it_is(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    topology = cluster.topology
    ledger.publish(upserts(catalog[:200]))
    clients = KafkaClients(
        topology.kafka.bootstrap, "lag", timeout_seconds=30, max_bytes=topology.limits.delta_bytes
    )
    consumer = clients.consumer(FETCH_BYTES)
    ends = {TopicPartition(topology.items_topic, p): end for p, end in ledger.ends().items()}
    first_look = read_lags(consumer, dict.fromkeys(ends, 0))
    lags = read_lags(consumer, dict.fromkeys(ends, 0))
    assert [lag.waiting_ms for lag in first_look.values()] == [
        lag.waiting_ms for lag in lags.values()
    ]
    assert {tp: lag.end for tp, lag in lags.items()} == ends
    for tp, lag in lags.items():
        (first,) = consumer.offsets_for_times({tp: 0}).values()
        assert lag.waiting_ms == first.timestamp
        late_s = (lag.asked_ms - first.timestamp) / 1000
        assert lag.seconds(0, first.timestamp + 7000) == 7.0
        # Who has gone on since then is at most as late as it was when the broker was asked.
        assert lag.seconds(1, first.timestamp + 10**9) == late_s
        assert lag.seconds(lag.end, first.timestamp + 10**9) == 0.0
    level = read_lags(consumer, ends)
    assert {lag.seconds(lag.position, 10**15) for lag in level.values()} == {0.0}
    consumer.close(autocommit=False)
    clients.close()
