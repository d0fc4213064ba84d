"""Brokers that stop answering, or answer elsewhere: all end in time, and find them again.

Each test has a broker of its own, as the broker is stopped, frozen or moved.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest
from tests.live.conftest import IMPATIENT
from tests.live.killer import Killer
from tests.live.ledger import Ledger, upserts
from tests.live.proxy import Proxy
from tests.live.test_replica import get, items, wait_until

from kae.deploy.brokers import ApacheKafka, free_port
from kae.deploy.cluster import Cluster
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.streams.runtime import failpoints
from kae.streams.worker.watchdog import EXIT_STALLED

pytestmark = pytest.mark.long
GRACE_SECONDS = 15.0
STALL_SECONDS = 8.0


@pytest.fixture
def pace() -> dict[str, object]:
    return {**IMPATIENT, "worker.stall_seconds": STALL_SECONDS}


@pytest.fixture
def way() -> Iterator[ExitStack]:
    """The proxy that the broker sends its clients to, until it is closed."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def kafka(way: ExitStack, tmp_path: Path) -> Iterator[ApacheKafka]:
    advertised = free_port()
    broker = ApacheKafka(tmp_path / "kafka", advertised_port=advertised)
    way.enter_context(Proxy(advertised, port_of(broker)))
    with broker:
        yield broker


def port_of(broker: ApacheKafka) -> int:
    return int(broker.bootstrap.rpartition(":")[2])


def test_after_the_brokers_have_moved_a_replica_follows_and_a_worker_asks_to_be_restarted(
    cluster: Cluster,
    kafka: ApacheKafka,
    way: ExitStack,
    ledger: Ledger,
    catalog: list[Item],
    codebook: Codebook,
) -> None:
    worker = cluster.start_worker("one", wait=False)
    replica = cluster.start_replica("replica-1", wait=False)
    cluster.wait_ready()
    ledger.publish(upserts(catalog[:100]))
    wait_until(lambda: items(replica) == 100)
    way.close()
    kafka.stop()
    with ApacheKafka(kafka.data, port_of(kafka)).start():
        assert worker.wait(within_seconds=60) == EXIT_STALLED
        # Its check of the brokers says why, unless the watchdog of its work is first.
        reasons = ("their advertised addresses have changed", "worker_stalled: no progress")
        assert any(reason in worker.output() for reason in reasons)
        cluster.start_worker("one")
        again = Ledger(cluster.topology, codebook)
        again.publish(upserts(catalog[100:150]))
        again.close()
        wait_until(lambda: items(replica) == 150, within_seconds=60)
        wait_until(lambda: get(replica, "/readyz").status_code == 200)
        assert replica.process.terminate() == "terminated"


@pytest.mark.parametrize("state", ["frozen", "gone"])
def test_all_end_in_time_when_no_broker_answers(
    cluster: Cluster, kafka: ApacheKafka, ledger: Ledger, catalog: list[Item], state: str
) -> None:
    worker = cluster.start_worker("one", wait=False)
    replica = cluster.start_replica("replica-1", wait=False)
    cluster.wait_ready()
    ledger.publish(upserts(catalog[:100]))
    wait_until(lambda: items(replica) == 100)
    if state == "frozen":
        kafka.pause()
    else:
        kafka.kill()
    time.sleep(2)
    for process in (worker, replica.process):
        began = time.monotonic()
        assert process.terminate(GRACE_SECONDS) == "terminated", process.output()
        assert time.monotonic() - began < GRACE_SECONDS
    kafka.resume()


@pytest.mark.parametrize("pace", [IMPATIENT])
def test_shards_whose_appends_are_in_doubt_are_given_up_together(
    cluster: Cluster, kafka: ApacheKafka, ledger: Ledger, killer: Killer, catalog: list[Item]
) -> None:
    worker = cluster.start_worker("one", killer.env)
    killer.arm(failpoints.BEFORE_APPEND, "stop")
    ledger.publish(upserts(catalog[:200]))
    killer.taken(failpoints.BEFORE_APPEND, "stop")
    kafka.pause()
    worker.resume()

    def lost() -> list[datetime]:
        return [datetime.fromisoformat(one["timestamp"]) for one in worker.events("shard_lost")]

    wait_until(lambda: len(lost()) > 1, within_seconds=40)
    time.sleep(3)
    times = lost()
    # One more wait, for a new producer; not one for each shard.
    assert (max(times) - min(times)).total_seconds() < 10
    kafka.resume()
