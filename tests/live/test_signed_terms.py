"""Term events that must be signed, on Apache Kafka."""

from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from tests.live.asking import kae, told
from tests.live.killer import wait_for
from tests.live.ledger import Event, Ledger, bind, upserts
from tests.live.test_accidents import dead_letters
from tests.signing import key_pair, signers

from kae.deploy.cluster import Cluster
from kae.encoders.items import Item
from kae.streams.events.signatures import KEY_VARIABLE


@pytest.fixture
def pace(pace: dict[str, object], tmp_path: Path) -> dict[str, object]:
    for name in ("alice", "bob", "mallory"):
        key_pair(tmp_path, name)
    return {**pace, "terms.approvals": 1, "terms.signers": signers(tmp_path, "alice", "bob")}


def test_only_who_signs_proposes_and_only_another_who_signs_approves(
    cluster: Cluster,
    ledger: Ledger,
    catalog: list[Item],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster.start_worker("one", wait=False)
    replica = cluster.start_replica("two", wait=False)
    cluster.wait_ready()
    ledger.publish(upserts(catalog[:300]))

    def as_(name: str, *arguments: str, code: int = 0) -> str:
        monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / f"{name}.pem"))
        done = kae(cluster, "term", *arguments, "--replica", replica.url, code=code)
        return f"{done.stdout}{done.stderr}"

    proposal = ("bind", "zorblax", "--match", "black", "--revision", "5")
    as_("mallory", *proposal, "--by", "alice", "--no-wait")
    wait_for(lambda: len(dead_letters(cluster)) == 1, "the forged event to be a dead letter")
    as_("alice", *proposal, "--by", "alice")
    # She cannot be her own colleague.
    as_("alice", "approve", "zorblax", "--by", "bob", "--timeout", "2", code=1)
    as_("bob", "approve", "zorblax", "--by", "bob")
    (bound,) = told(cluster, "term", "list", "--replica", replica.url)["active"]
    assert (bound["by"], bound["approved_by"]) == ("alice", "bob")

    publish(cluster, stored_terms(cluster)[1])
    publish(cluster, bind("quietcore", match="white"))
    wait_for(lambda: len(dead_letters(cluster)) == 4, "replayed and unsigned events to be dead")
    kinds = {headers["kae-kind"].decode() for _, headers in dead_letters(cluster)}
    assert kinds == {"signature.unknown", "signature.by", "term.replayed", "signature.missing"}


def stored_terms(cluster: Cluster) -> list[Event]:
    """What the terms topic holds."""
    topic = TopicPartition(cluster.topology.terms_topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=cluster.topology.kafka.bootstrap, group_id=None)
    consumer.assign([topic])
    consumer.seek_to_beginning()
    end = consumer.end_offsets([topic])[topic]
    found: list[Event] = []
    while len(found) < end:
        for records in consumer.poll(500).values():
            found += [
                Event(record.key, record.value, headers=tuple(record.headers)) for record in records
            ]
    consumer.close()
    return found


def publish(cluster: Cluster, event: Event) -> None:
    """Send an event to the terms topic as whoever can write there."""
    producer = KafkaProducer(bootstrap_servers=cluster.topology.kafka.bootstrap)
    headers = list(event.headers)
    producer.send(
        cluster.topology.terms_topic, key=event.key, value=event.value, headers=headers
    ).get(timeout=30)
    producer.close()
