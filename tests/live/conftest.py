"""A line on Apache Kafka, without workers yet."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.brokers import BEHIND_ACLS
from tests.live.killer import Killer
from tests.live.ledger import Ledger

from kae.deploy.brokers import ApacheKafka
from kae.deploy.cluster import Cluster
from kae.encoders.codebook.codebook import Codebook
from kae.streams.kafka.acls import KafkaRole

SHARDS = 8
# Short, so that a kill costs seconds; the batches small, so that there are many deltas.
QUICK: dict[str, object] = {
    "worker.session_timeout_seconds": 2.0,
    "worker.heartbeat_seconds": 0.5,
    "worker.batch_events": 200,
    "terms.quarantine_seconds": 1.0,
}
# Short, so that a broker's absence outlasts them in seconds.
IMPATIENT = {**QUICK, "kafka.request_timeout_seconds": 3.0, "kafka.delivery_timeout_seconds": 6.0}


@pytest.fixture
def pace() -> dict[str, object]:
    """What differs from topology.yaml."""
    return QUICK


@pytest.fixture
def cluster(
    kafka: ApacheKafka,
    codebook_folder: Path,
    tmp_path: Path,
    pace: dict[str, object],
    request: pytest.FixtureRequest,
) -> Iterator[Cluster]:
    changes = {**pace, "topics.prefix": tmp_path.name, "codebook.path": str(codebook_folder)}
    folder = tmp_path / "cluster"
    secured = request.getfixturevalue("secured") if BEHIND_ACLS else None
    changes |= secured.changes() if secured else {}
    line = Cluster(folder, kafka, shards=SHARDS, workers=0, replicas=0, changes=changes)
    if secured:
        secured.lend(line)
        # Commands that a test gives by itself.
        monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
        for name, value in secured.environment(KafkaRole.OPERATOR).items():
            monkeypatch.setenv(name, value)
    with line:
        yield line


@pytest.fixture
def ledger(cluster: Cluster, codebook: Codebook) -> Iterator[Ledger]:
    kept = Ledger(cluster.topology, codebook)
    yield kept
    kept.close()


@pytest.fixture
def killer(cluster: Cluster, tmp_path: Path) -> Killer:
    return Killer(cluster, tmp_path / "failpoints")
