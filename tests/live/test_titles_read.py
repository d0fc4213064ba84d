"""A worker whose codebook has a tagger: titles that take long are nobody's accident."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live.conftest import QUICK, SHARDS
from tests.live.killer import wait_for
from tests.live.ledger import Ledger, upserts
from tests.live.test_replica import get, items

from kae.deploy.brokers import ApacheKafka
from kae.deploy.cluster import Cluster, ReplicaProcess
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Item
from kae.encoders.tagger.weights import PACKAGED, TaggerSource
from kae.streams.topology.types import Topology

pytestmark = pytest.mark.alone

# Tens of seconds of reading.
TITLES = 400
# A session timeout of two seconds; and what stands still for five is taken for hung.
IMPATIENT = {**QUICK, "worker.batch_events": 1024, "worker.stall_seconds": 5.0}


@pytest.fixture
def full(tmp_path: Path) -> Codebook:
    """Nothing is listed, so every title is read."""
    topology = Topology.load()
    fields = topology.catalog.fields
    made = Codebook(topology.codebook_groups, dict(fields), (), tagger=TaggerSource.of(PACKAGED))
    made.save(tmp_path / "full")
    return made


@pytest.fixture
def reading(kafka: ApacheKafka, full: Codebook, tmp_path: Path) -> Iterator[Cluster]:
    changes: dict[str, object] = {
        **IMPATIENT,
        "topics.prefix": tmp_path.name,
        "codebook.path": str(tmp_path / "full"),
    }
    folder = tmp_path / "cluster"
    with Cluster(folder, kafka, shards=SHARDS, workers=0, replicas=0, changes=changes) as running:
        yield running


@pytest.mark.timeout(240)
def test_hundreds_of_unseen_titles_trip_neither_session_nor_watchdog(
    reading: Cluster, full: Codebook, catalog: list[Item]
) -> None:
    titles = list(dict.fromkeys(item.title for item in catalog))[:TITLES]
    unseen = [Item(str(number), title) for number, title in enumerate(titles)]
    ledger = Ledger(reading.topology, full)
    ledger.publish(upserts(unseen))
    ledger.close()
    replica = reading.start_replica("replica-1", wait=False)
    worker = reading.start_worker("one", wait=False)
    reading.wait_ready()
    wait_for(lambda: items(replica) == len(unseen), "every title to be read", seconds=110)
    worker.check()
    assert len(list(worker.events("worker_ready"))) == 1
    assert {shard["epoch"] for shard in get(replica, "/status").json()["shards"]} <= {0, 1}
    for item in unseen[::80]:
        assert shown(replica, item.id) == [
            (each.word, each.source.name.lower()) for each in Encoder(full).encode(item).attributes
        ]


def shown(replica: ReplicaProcess, item_id: str) -> list[tuple[str, str]]:
    answer = get(replica, f"/items/{item_id}").json()
    return [(each["word"], each["source"]) for each in answer["attributes"]]
