"""The network between workers and broker breaks amid an append, at chosen bytes of it.

"kae-" is how the client ids of workers begin; the ledger's and the proof's do not.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.brokers import BEHIND_ACLS
from tests.live.conftest import IMPATIENT
from tests.live.killer import Killer
from tests.live.ledger import Ledger
from tests.live.proxy import Broken, Proxy
from tests.live.streaming import causes, streaming
from tests.secured import SecuredKafka

from kae.deploy.brokers import ApacheKafka, free_port
from kae.deploy.cluster import Cluster

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    """The proxy's and the broker's."""
    return free_port(), free_port()


@pytest.fixture(scope="module")
def secured(
    ports: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredKafka]:
    """A broker that sends those who come in by SCRAM over TLS to the proxy."""
    port, broker_port = ports
    kafka = SecuredKafka(tmp_path_factory.mktemp("secured"), broker_port, advertised_port=port)
    with kafka.broker:
        kafka.make_users()
        yield kafka


@pytest.fixture(scope="module")
def proxy(ports: tuple[int, int], request: pytest.FixtureRequest) -> Iterator[Proxy]:
    tls = request.getfixturevalue("secured").standing_between() if BEHIND_ACLS else None
    with Proxy(*ports, tls) as running:
        yield running


@pytest.fixture(scope="module")
def kafka(
    proxy: Proxy, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[ApacheKafka]:
    """A broker that sends its clients to the proxy."""
    if BEHIND_ACLS:
        yield request.getfixturevalue("secured").broker
        return
    folder = tmp_path_factory.mktemp("kafka")
    with ApacheKafka(folder, proxy.broker_port, advertised_port=proxy.port) as broker:
        yield broker


@pytest.fixture
def pace(proxy: Proxy) -> dict[str, object]:
    return {**IMPATIENT, "kafka.bootstrap": f"127.0.0.1:{proxy.port}"}


def test_appends_that_lose_their_connection_are_sent_again_and_count_once(
    cluster: Cluster, proxy: Proxy, ledger: Ledger, killer: Killer, tmp_path: Path
) -> None:
    topology = cluster.topology
    with streaming(cluster, ledger, killer, tmp_path) as story:
        for after_bytes in (2, 40, 900):
            proxy.break_next(Broken("kae-", topology.deltas_topic, "request", after_bytes))
        proxy.break_next(Broken("kae-", topology.deltas_topic, "response"))
        proxy.break_next(Broken("kae-", topology.bindings_topic, "response"))
    # A worker that opens a shard for the first time claims the first epoch; then it knows better.
    assert set(story.passed_over) <= {"claim of an old epoch"}, "an append was stored twice"


def test_an_append_whose_answer_never_comes_ends_the_epoch_and_counts_once(
    cluster: Cluster, proxy: Proxy, ledger: Ledger, killer: Killer, tmp_path: Path
) -> None:
    topology = cluster.topology
    with streaming(cluster, ledger, killer, tmp_path):
        proxy.break_next(Broken("kae-", topology.deltas_topic, "unanswered"))
        time.sleep(2 * topology.kafka.delivery_timeout_seconds)
        proxy.thaw()
    assert any(
        "no acknowledgement from the broker" in cause for cause in causes(cluster, "shard_lost")
    )


def test_an_append_that_a_frozen_network_delivers_too_late_does_not_count(
    cluster: Cluster, proxy: Proxy, ledger: Ledger, killer: Killer, tmp_path: Path
) -> None:
    topology = cluster.topology
    with streaming(cluster, ledger, killer, tmp_path):
        proxy.break_next(Broken("kae-", topology.deltas_topic, "held"))
        time.sleep(2 * topology.kafka.delivery_timeout_seconds)
        proxy.thaw()
    assert any(
        "no acknowledgement from the broker" in cause for cause in causes(cluster, "shard_lost")
    )
