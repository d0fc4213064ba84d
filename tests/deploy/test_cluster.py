from pathlib import Path

import pytest

from kae.deploy.brokers import EmbeddedBroker
from kae.deploy.cluster import Cluster
from kae.deploy.processes import ProcessFailed
from kae.streams.topology.types import Topology


def test_a_cluster_writes_the_topology_that_its_processes_read(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, shards=4, changes={"worker.batch_events": 64})
    written = Topology.load(tmp_path / "topology.yaml")
    assert written == cluster.topology
    assert (written.shards, written.worker.batch_events) == (4, 64)
    assert written.kafka.bootstrap == cluster.broker.bootstrap
    assert Path(written.stores.path).is_relative_to(tmp_path)


def test_a_cluster_that_does_not_come_up_leaves_nothing_running(tmp_path: Path) -> None:
    changes = {"codebook.path": str(tmp_path / "nowhere")}
    cluster = Cluster(tmp_path, workers=1, replicas=1, changes=changes)
    with pytest.raises(ProcessFailed, match="ended with"):
        cluster.start()
    assert not cluster.broker.process.running
    assert not any(worker.running for worker in cluster.workers.values())
    assert not any(replica.process.running for replica in cluster.replicas.values())


def test_a_broker_that_was_given_is_left_running(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path / "broker") as broker:
        with Cluster(tmp_path / "cluster", broker, workers=0, replicas=0):
            pass
        assert broker.process.running
