"""The broker dies or hangs while items and terms stream: nothing is lost, doubled or stuck."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.live.conftest import IMPATIENT
from tests.live.killer import Killer
from tests.live.ledger import Ledger
from tests.live.streaming import causes, streaming

from kae.deploy.brokers import ApacheKafka
from kae.deploy.cluster import Cluster
from kae.streams.runtime import failpoints
from kae.streams.topology.types import Topology
from kae.streams.worker.watchdog import EXIT_STALLED

pytestmark = pytest.mark.long


@pytest.fixture
def pace() -> dict[str, object]:
    return IMPATIENT


def test_a_broker_that_is_killed_and_started_again_on_its_data_loses_nothing(
    cluster: Cluster, kafka: ApacheKafka, ledger: Ledger, killer: Killer, tmp_path: Path
) -> None:
    with streaming(cluster, ledger, killer, tmp_path):
        with amid_an_append(cluster, killer):
            kafka.kill()
        kafka.start()


def test_a_broker_that_hangs_for_longer_than_an_append_may_take_loses_nothing(
    cluster: Cluster, kafka: ApacheKafka, ledger: Ledger, killer: Killer, tmp_path: Path
) -> None:
    with streaming(cluster, ledger, killer, tmp_path):
        with amid_an_append(cluster, killer):
            kafka.pause()
        time.sleep(2 * cluster.topology.kafka.delivery_timeout_seconds)
        kafka.resume()
    assert any(
        "no acknowledgement from the broker" in cause for cause in causes(cluster, "shard_lost")
    )


@pytest.mark.parametrize("pace", [{**IMPATIENT, "worker.stall_seconds": 10.0}])
def test_workers_end_when_the_broker_stays_away_and_go_on_when_started_again(
    cluster: Cluster, kafka: ApacheKafka, ledger: Ledger, killer: Killer, tmp_path: Path
) -> None:
    with streaming(cluster, ledger, killer, tmp_path):
        with amid_an_append(cluster, killer):
            kafka.kill()
        for worker in cluster.workers.values():
            assert worker.wait(within_seconds=60) in (1, EXIT_STALLED)
            assert any(said in worker.output() for said in ("worker_failed", "worker_stalled"))
        early = cluster.command("early", "worker", "run")
        assert early.wait(within_seconds=60) == 1
        address = Topology.load(cluster.topology.path).kafka.bootstrap
        assert f"Kafka does not answer ({address}: Connection refused)" in early.output()
        kafka.start()
        for name in ("one", "two"):
            cluster.start_worker(name, killer.env, wait=False)
        cluster.wait_ready()


@contextmanager
def amid_an_append(cluster: Cluster, killer: Killer) -> Iterator[None]:
    """One worker is about to append, and does so as soon as this is over."""
    killer.arm(failpoints.BEFORE_APPEND, "stop")
    worker = cluster.workers[killer.taken(failpoints.BEFORE_APPEND, "stop")]
    yield
    worker.resume()
