"""Producers that write in transactions: what they commit is indexed, in order, and nothing else."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from tests.live.asking import told
from tests.live.killer import wait_for
from tests.live.ledger import Event, Ledger, bind, deletes, upserts
from tests.live.scrape import scrape

from kae.deploy.cluster import Cluster
from kae.encoders.items import Item


@pytest.fixture
def pace(pace: dict[str, object], tmp_path: Path) -> dict[str, object]:
    return {**pace, "snapshots.url": str(tmp_path / "archive")}


class Transactions:
    """One producer, and one transaction after another."""

    def __init__(self, cluster: Cluster) -> None:
        self._topology = cluster.topology
        self._producer = KafkaProducer(
            bootstrap_servers=self._topology.kafka.bootstrap,
            transactional_id=self._topology.topics.prefix,
            acks="all",
        )
        self._producer.init_transactions()

    def begin(self, events: Iterable[Event]) -> None:
        """The events are stored, and the transaction is open."""
        self._producer.begin_transaction()
        for event in events:
            topic = self._topology.terms_topic if event.is_term else self._topology.items_topic
            self._producer.send(topic, key=event.key, value=event.value)
        self._producer.flush()

    def commit(self) -> None:
        self._producer.commit_transaction()

    def abort(self) -> None:
        self._producer.abort_transaction()

    def close(self) -> None:
        self._producer.close()


@pytest.fixture
def transactions(cluster: Cluster) -> Iterator[Transactions]:
    cluster.start_replica("replica-1", wait=False)
    cluster.start_worker("one", wait=False)
    cluster.wait_ready()
    kept = Transactions(cluster)
    yield kept
    kept.close()


def status(cluster: Cluster) -> dict[str, Any]:
    answer: dict[str, Any] = told(cluster, "status", "--replica", cluster.replica.url)
    return answer


def indexed(cluster: Cluster, count: int) -> dict[str, Any]:
    """The status once so many events are read, none of them late, stale or dead."""
    shown: dict[str, Any] = {}

    def reached() -> bool:
        shown.update(status(cluster))
        return shown["counts"]["read"] == count and not shown["lag_events"]

    wait_for(reached, f"{count} events to be read, and the lag to be 0")
    assert (shown["counts"]["stale"], shown["counts"]["dead"]) == (0, 0)
    return shown


def test_only_what_is_committed_is_indexed_in_order_and_markers_are_no_lag(
    cluster: Cluster, transactions: Transactions, ledger: Ledger, catalog: list[Item]
) -> None:
    transactions.begin(upserts(catalog[:40]))
    transactions.commit()
    transactions.begin(upserts(catalog[40:80]))
    transactions.abort()
    assert indexed(cluster, 40)["items"] == 40

    transactions.begin(upserts(catalog[80:100]))
    # Behind an open transaction, and so after what it commits: else that would be stale.
    ledger.publish(deletes(catalog[80:100], revision=2))
    assert indexed(cluster, 40)["items"] == 40, "an open transaction is not read"
    transactions.commit()
    assert indexed(cluster, 80)["items"] == 40

    transactions.begin(upserts(catalog[100:140]))
    transactions.abort()  # aborted records and markers are the ends of the partitions
    assert indexed(cluster, 80)["terms_lag_events"] == 0

    def lags() -> set[int]:
        listed = told(cluster, "shard", "list", "--replica", cluster.replica.url)
        return {one["lag_events"] for one in listed["shards"]}

    wait_for(lambda: lags() == {0}, "no shard to be behind")

    def lag() -> float:
        return scrape(cluster.worker_url("one")).total("kae_worker_shard_lag_events")

    wait_for(lambda: lag() == 0, "the worker to see that nothing is left")
    assert not list(cluster.workers["one"].events("sought_back")), "markers are no gaps"
    cluster.workers["one"].terminate()
    cluster.start_worker("one")
    ledger.publish(upserts(catalog[140:150]))
    assert indexed(cluster, 90)["items"] == 50
    assert not list(cluster.workers["one"].events("sought_back")), "markers are no gaps"


def test_terms_of_transactions_are_registered_once_they_are_committed(
    cluster: Cluster, transactions: Transactions, ledger: Ledger, catalog: list[Item]
) -> None:
    ledger.publish(upserts(catalog[:40]))
    transactions.begin([bind("zorblax", match="black")])
    transactions.abort()
    transactions.begin([bind("quietcore", where='brand = "hp"')])
    transactions.commit()
    ledger.publish([bind("afterwards", match="toner")])

    def terms() -> set[str]:
        shown = told(cluster, "term", "list", "--replica", cluster.replica.url)
        return {one["term"] for one in shown["active"]}

    wait_for(lambda: terms() == {"quietcore", "afterwards"}, "the terms that are committed")
    assert indexed(cluster, 40)["terms_lag_events"] == 0


def test_a_backfill_reads_what_is_committed(
    cluster: Cluster, transactions: Transactions, catalog: list[Item]
) -> None:
    transactions.begin(upserts(catalog[:40]))
    transactions.commit()
    transactions.begin(upserts(catalog[40:80]))
    transactions.abort()
    transactions.begin(upserts(catalog[80:90]))
    transactions.commit()
    report = told(cluster, "backfill", "run", "--from-items", "--generation", "2")
    assert report["items"] == 50
