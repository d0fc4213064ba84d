"""Partitions are added to the items topic while everything runs: it is told, and nothing is lost.

The remedy of docs/runbooks.md is given word for word.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from tests.live.asking import kae, told
from tests.live.conftest import QUICK, SHARDS
from tests.live.killer import wait_for
from tests.live.ledger import Event, Ledger, bind, deletes, upserts
from tests.live.runbooks import entry, give
from tests.live.scrape import scrape
from tests.live.successors import announce_both
from tests.live.test_replica import hashes, items

from kae.deploy.cluster import Cluster
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.streams.topology.types import Topology

# No multiple: of the keys that move, some move to a partition that the first generation reads.
WIDER = 12
ALARM = "KaePartitionsUnread"


@pytest.fixture
def pace(tmp_path: Path) -> dict[str, object]:
    return {**QUICK, "snapshots.url": str(tmp_path / "archive")}


def add_partitions(cluster: Cluster, topic: str, partitions: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=cluster.broker.bootstrap)
    admin.create_partitions({topic: partitions})
    admin.close()


def follow_the_runbook(cluster: Cluster) -> Topology:
    """Its commands, with a worker of the new generation where it says so; the new topology."""
    commands = entry(ALARM)
    start = commands.index("kae generation announce --topology wider.yaml")
    for command in commands[:start]:
        give(cluster, command)
    wider = Topology.load(cluster.folder / "wider.yaml")
    cluster.start_worker("two", topology=wider)
    for command in commands[start:]:
        give(cluster, command)
    return wider


def contents(ledger: Ledger, events: Sequence[Event]) -> list[str]:
    """The hash of each shard of the wider generation once it has these events."""
    homes = [ledger.home((event.key or b"").decode()) for event in events]
    return [
        ledger.hash_of(n, [event for event, at in zip(events, homes, strict=True) if at == n])
        for n in range(WIDER)
    ]


@pytest.mark.timeout(240)
def test_added_partitions_are_told_and_a_generation_with_more_shards_has_every_event(
    cluster: Cluster, codebook: Codebook, catalog: list[Item]
) -> None:
    topic = cluster.topology.items_topic
    with_more = cluster.topology.edited({"shards": WIDER, "generation": 2})
    before = upserts(catalog[:300])
    later = [
        *upserts(catalog[200:400], revision=2),
        *deletes(catalog[:30], revision=3),
        *upserts(catalog[:60]),  # stale by then, or once more
    ]
    replica = cluster.start_replica("replica-1", cluster.topology.replica.listen, wait=False)
    worker = cluster.start_worker("one", wait=False)
    cluster.wait_ready()
    first = Ledger(with_more, codebook)
    first.publish([bind("zorblax", match="black"), *before])
    wait_for(lambda: items(replica) == 300, "the first items")

    add_partitions(cluster, topic, WIDER)
    wait_for(lambda: any(worker.events("partitions_not_read")), "the worker to notice")
    (noticed,) = worker.events("partitions_not_read")
    assert (noticed["topic"], noticed["partitions"], noticed["read"]) == (topic, WIDER, SHARDS)
    second = Ledger(with_more, codebook)
    places = second.publish(later)
    unread = sum(partition >= SHARDS for partition, _ in places)
    assert 0 < unread < len(later)
    sentence = (
        f"topic {topic} has 12 partitions, and the last 4 are not read ({unread:,} events): "
        "generation 1 has 8 shards for good; build the next one with shards: 12 "
        "(docs/generations.md#more-shards)"
    )
    assert sentence in told(cluster, "status", "--check", code=3)["problems"]
    url = cluster.worker_url("one")
    wait_for(lambda: scrape(url).value("kae_worker_unread_events") == unread, "the metric")
    assert scrape(url).value("kae_worker_unread_partitions") == WIDER - SHARDS
    short = sentence.replace(f" ({unread:,} events)", "")
    assert kae(cluster, "topics", "check", code=1).stderr == f"warning: {short}\n"
    assert kae(cluster, "topics", "apply", code=1).stderr == f"error: {short}\n"

    # It goes on, also after a restart, when the group assigns the new partitions as well.
    worker.terminate()
    worker = cluster.start_worker("one")
    late = next(item for item in catalog[400:] if first.home(item.id) < SHARDS)
    read = sum(shard["counts"]["read"] for shard in told(cluster, "status")["shards"])
    second.publish(upserts([late]))
    wait_for(
        lambda: sum(s["counts"]["read"] for s in told(cluster, "status")["shards"]) > read,
        "an event in a partition that it reads",
    )

    wider = follow_the_runbook(cluster)
    assert told(cluster, "status")["generation"] == 2
    assert items(replica) == 371
    assert hashes(replica) == contents(first, [*before, *later, *upserts([late])])
    assert told(cluster, "status")["problems"] == []

    second.publish(upserts(catalog[500:520]))
    wait_for(lambda: items(replica) == 391, "what comes now")
    refused = kae(cluster, "generation", "rollback", "--within", "1", code=1).stderr
    assert "it has 8 shards and reads as many partitions of the items topic" in refused
    worker.terminate()
    kae(cluster, "generation", "drop", "1", "--force", "--yes", topology=wider)
    assert told(cluster, "topics", "check", topology=wider) == []
    first.close()
    second.close()
    cluster.check()


@pytest.mark.timeout(240)
def test_a_generation_that_reads_from_the_beginning_has_every_event_once_they_are_replayed(
    cluster: Cluster, codebook: Codebook, catalog: list[Item]
) -> None:
    """As docs/generations.md has it for an index without snapshots."""
    before = upserts(catalog[:200])
    later = [*upserts(catalog[100:250], revision=2), *deletes(catalog[:30], revision=3)]
    wider = cluster.topology.edited({"shards": WIDER, "generation": 2})
    wider = wider.write(cluster.folder / "wider.yaml")
    first = Ledger(wider, codebook)
    first.publish(before)
    add_partitions(cluster, cluster.topology.items_topic, WIDER)
    Ledger(wider, codebook).publish(later)
    replica = cluster.start_replica("replica-1", cluster.topology.replica.listen, wait=False)
    cluster.start_worker("one", wait=False)
    cluster.wait_ready()
    kae(cluster, "topics", "apply", topology=wider)
    cluster.start_worker("two", topology=wider)
    announce_both(cluster, wider)
    assert told(cluster, "generation", "verify", "2")["complete"]
    replay = ("dead-letters", "replay", "--kind", "partition.wrong", "--yes")
    assert told(cluster, *replay, topology=wider)["sent"] > 0
    told(cluster, "generation", "promote", "2")
    wait_for(lambda: hashes(replica) == contents(first, [*before, *later]), "what was replayed")
    assert items(replica) == 220
    first.close()


def test_term_events_in_an_added_partition_are_told_of_and_take_no_others_place(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    replica = cluster.start_replica("replica-1", cluster.topology.replica.listen)
    ledger.publish([bind("zorblax", match="black"), *upserts(catalog[:50])])
    add_partitions(cluster, cluster.topology.terms_topic, 3)
    stray = KafkaProducer(bootstrap_servers=cluster.broker.bootstrap)
    for n in range(5):
        event = bind(f"stray{n}", match="usb")
        stray.send(cluster.topology.terms_topic, key=event.key, value=event.value, partition=1).get(
            30
        )
    stray.close()
    worker = cluster.start_worker("one")
    others = [bind(f"word{n}", match="notebook") for n in range(5)]
    ledger.publish([Event(e.key, e.value, is_term=True, partition=0) for e in others])
    bound = [f"word{n}" for n in range(5)] + ["zorblax"]
    wait_for(
        lambda: sorted(t["term"] for t in told(cluster, "term", "list")["active"]) == bound,
        "the terms of partition 0",
    )
    wait_for(lambda: any(worker.events("partitions_not_read")), "the worker to notice")
    sentence = (
        f"topic {cluster.topology.terms_topic} has 3 partitions, and the last 2 are not read "
        "(5 events): send term events to partition 0, as `kae term` does, and those in the others "
        "once more"
    )
    assert told(cluster, "status")["problems"] == [sentence]
    assert "warning: topic" in kae(cluster, "topics", "apply").stderr
    assert items(replica) == 50
    cluster.check()
