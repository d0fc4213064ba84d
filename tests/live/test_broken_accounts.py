"""Another program writes to the logs: the books do not balance, until a new generation serves,

which docs/runbooks.md says how to bring about.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from tests.live.conftest import QUICK
from tests.live.killer import wait_for
from tests.live.ledger import Ledger, bind, upserts
from tests.live.prometheus import Prometheus
from tests.live.runbooks import follow
from tests.live.successors import announce_both
from tests.live.test_replica import items

from kae.deploy.brokers import free_port
from kae.deploy.cluster import Cluster
from kae.encoders.items import Item
from kae.sinks.log.edits import Counts, Delta, Owned, SourceRange, encode_record
from kae.sinks.log.fold import LogState, fold
from kae.sinks.log.protocol import Log
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.topics import apply_topics

ALARMS = ("KaeAccountingBroken", "KaeTermsAccountingBroken")
SHARD = 3


@pytest.fixture
def pace() -> dict[str, object]:
    return {
        **QUICK,
        "worker.listen": f"127.0.0.1:{free_port()}",
        "replica.listen": f"127.0.0.1:{free_port()}",
    }


@contextmanager
def clients(cluster: Cluster) -> Iterator[KafkaClients]:
    with KafkaClients.for_writing(cluster.topology, "liar") as own:
        yield own


def lie(log: Log) -> None:
    """Append a delta that counts, with an event of which nothing became anything."""
    state, source = LogState(), SourceRange()
    for offset, payload in log.read(0):
        if offset < 0:
            break
        folded = fold(state, offset, payload)
        state = folded.state
        source = folded.delta.source if folded.delta else source
    claim = Owned(state.epoch + 1, b"a liar", "a liar", state.fingerprint)
    untrue = Delta(
        epoch=claim.epoch,
        version=state.version + 1,
        previous=state.hash,
        part=0,
        parts=1,
        at_ms=0,
        source=source,
        counts=Counts(read=1),
        edits=(),
    )
    log.append([encode_record(claim), encode_record(untrue)]).offsets()


def rings_of(prometheus: Prometheus, alarm: str, jobs: set[str]) -> bool:
    return {told["job"] for told in prometheus.firing(alarm)} == jobs


@pytest.mark.timeout(180)
def test_books_that_another_program_broke_ring_until_a_new_generation_serves(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], tmp_path: Path
) -> None:
    topology = cluster.topology
    targets = {"workers": str(topology.worker.listen), "replicas": topology.replica.listen}
    replica = cluster.start_replica("replica-1", topology.replica.listen, wait=False)
    worker = cluster.start_worker("one", wait=False)
    cluster.wait_ready()
    ledger.publish([bind("zorblax", match="black"), *upserts(catalog[:200])])
    wait_for(lambda: items(replica) == 200, "the items")
    worker.terminate()
    with clients(cluster) as kafka:
        lie(kafka.log(topology.deltas_topic, SHARD))
        lie(kafka.log(topology.bindings_topic, 0))
    with Prometheus(tmp_path / "prometheus", targets) as prometheus:
        worker = cluster.start_worker("one")
        for alarm in ALARMS:
            wait_for(partial(rings_of, prometheus, alarm, set(targets)), f"{alarm} of both")
        changes = {"generation": 2, "worker.listen": f"127.0.0.1:{free_port()}"}
        second = topology.edited(changes).write(cluster.folder / "second.yaml")
        apply_topics(second)
        cluster.start_worker("two", topology=second)
        announce_both(cluster, second)
        worker.terminate()
        for alarm in ALARMS:
            follow(cluster, alarm)
        for alarm in ALARMS:
            prometheus.wait_until_it_is_over(alarm)
