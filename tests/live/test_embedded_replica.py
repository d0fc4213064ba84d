"""A replica in this process, on Apache Kafka: the worked example of docs/decoding.md."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kafka import KafkaProducer
from tests.live.ledger import Ledger, bind, deletes, upserts

from kae.deploy.cluster import Cluster
from kae.encoders.items import Item
from kae.streams.errors import ReplicaEnded, ReplicaTimedOut, TermRefused
from kae.streams.replica.embedded import Replica

DOCUMENT = Path(__file__).parents[2] / "docs" / "decoding.md"


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    """What the document's code for a program of one's own defines."""
    section = DOCUMENT.read_text().split("## In your own process")[1].split("\n## ")[0]
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
        exec(block, names)
    return names


def test_the_example_masks_what_a_term_has_just_opened(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], example: dict[str, Any]
) -> None:
    cluster.start_worker("worker-1")
    ledger.publish(upserts(catalog[:500]))
    ledger.publish([bind("quietcore", 1, where='brand = "hp"')])
    version, items, allowed = example["first_slots"](cluster.topology, "quietcore", 1)
    assert version.bindings == 1
    assert items <= 500
    assert allowed.any()


def test_what_is_waited_for_is_in_the_view_that_is_returned(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    cluster.start_worker("worker-1")
    with Replica.open(cluster.topology) as replica:
        before = replica.view()
        ledger.publish(upserts(catalog[:50]))
        for item in catalog[:50]:
            view = replica.wait_for(item=item.id, revision=1, within_seconds=30)
        assert (before.items, view.items) == (0, 50)
        assert replica.decode().count(np.zeros((1, 0), np.uint16)).tolist() == [50]
        ledger.publish(deletes(catalog[:1], revision=2))
        assert replica.wait_for(item=catalog[0].id, revision=2, within_seconds=30).items == 49
        assert replica.wait_for(versions=view.versions).versions >= view.versions


def test_what_does_not_come_is_told_with_what_stands(cluster: Cluster) -> None:
    with Replica.open(cluster.topology, name="mine") as replica:
        with pytest.raises(
            ReplicaTimedOut, match="mine: revision 3 of item 'x' did not come"
        ) as no:
            replica.wait_for(item="x", revision=3, within_seconds=0.2)
        assert isinstance(no.value, TimeoutError)
        assert "0 items" in str(no.value)
        with pytest.raises(TypeError, match="one of term, item and versions"):
            replica.wait_for()


def test_a_refused_term_is_told_by_its_cause(cluster: Cluster, ledger: Ledger) -> None:
    reserved = max(group.reserved for group in cluster.topology.codebook_groups)
    cluster.start_worker("worker-1")
    ledger.publish([bind(f"word{n}", 1, match="hp") for n in range(reserved + 1)])
    with Replica.open(cluster.topology) as replica, pytest.raises(TermRefused, match="reserved"):
        replica.wait_for(term=f"word{reserved}", revision=1, within_seconds=60)


def test_a_follower_that_fails_fails_the_wait_and_the_close(cluster: Cluster) -> None:
    replica = Replica.open(cluster.topology)
    producer = KafkaProducer(bootstrap_servers=cluster.broker.bootstrap)
    producer.send(cluster.topology.deltas_topic, value=b"not kae's", partition=0).get(timeout=10)
    producer.close()
    with pytest.raises(ReplicaEnded, match="kae did not write"):
        replica.wait_for(item="x", within_seconds=30)
    with pytest.raises(ReplicaEnded, match="kae did not write"):
        replica.close()
