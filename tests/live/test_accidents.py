"""A worker that sleeps through a rebalance, a lost store, the same events again, broken events."""

import random
import shutil
from collections import Counter
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition
from tests.live.killer import Killer, wait_for
from tests.live.ledger import Event, Ledger, bind, deletes, undecodables, upserts
from tests.live.proof import prove

from kae.deploy.cluster import Cluster
from kae.encoders.items import Item
from kae.sinks.store import keys
from kae.streams.runtime import failpoints

TERMS = [bind("zorblax", match="black"), bind("quietcore", where='brand = "hp"')]


def test_a_stopped_worker_that_wakes_after_its_shards_moved_changes_nothing(
    cluster: Cluster, ledger: Ledger, killer: Killer, catalog: list[Item], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        cluster.start_worker(name, killer.env, wait=False)
    cluster.wait_ready()
    ledger.publish(TERMS)
    killer.arm(failpoints.BEFORE_APPEND, "stop")
    ledger.publish(upserts(catalog[:800]))
    sleeper = killer.taken(failpoints.BEFORE_APPEND, "stop")
    other = cluster.workers["two" if sleeper == "one" else "one"]
    wait_for(
        lambda: list(other.events("worker_ready"))[-1]["shards"] == list(range(8)),
        "the shards to move",
    )
    ledger.publish(upserts(catalog[800:1000]))
    ledger.publish(deletes(catalog[:50], revision=2))
    cluster.workers[sleeper].resume()
    wait_for(lambda: any(cluster.workers[sleeper].events("shard_lost")), "the sleeper to be fenced")
    passed_over = prove(cluster, ledger, tmp_path)
    assert any("delta of another epoch" in reasons for reasons in passed_over.values())


def test_a_deleted_store_is_rebuilt_to_the_same_content(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], tmp_path: Path
) -> None:
    worker = cluster.start_worker("one")
    ledger.publish([*TERMS, *upserts(catalog[:600])])
    prove(cluster, ledger, tmp_path / "before")
    lost = keys.shard_folder(cluster.folder / "one", cluster.topology.generation, 3)
    shutil.rmtree(lost)
    worker = cluster.start_worker("one")
    ledger.publish(upserts(catalog[600:700]))
    prove(cluster, ledger, tmp_path / "after")
    assert lost.exists()
    owned = {e["shard"]: e["version"] for e in worker.events("shard_owned")}
    assert owned[3] > 0, "the store was not rebuilt from the log when it was opened"


def test_a_store_from_another_log_is_discarded_and_rebuilt(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], tmp_path: Path
) -> None:
    cluster.start_worker("one")
    ledger.publish(upserts(catalog[:400]))
    prove(cluster, ledger, tmp_path / "before")
    generation = cluster.topology.generation
    stores = [keys.shard_folder(cluster.folder / "one", generation, shard) for shard in (1, 2)]
    shutil.rmtree(stores[0])
    shutil.copytree(stores[1], stores[0])
    worker = cluster.start_worker("one")
    ledger.publish(upserts(catalog[400:500]))
    prove(cluster, ledger, tmp_path / "after")
    assert [e["shard"] for e in worker.events("store_passed_over")] == [1]


def test_the_same_events_again_and_shuffled_give_the_same_content(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], tmp_path: Path
) -> None:
    changed = [
        Item(item.id, other.title, other.description, other.fields)
        for item, other in zip(catalog[:100], catalog[100:200], strict=True)
    ]
    events = [*upserts(catalog[:500]), *upserts(changed, revision=2), *deletes(catalog[:9], 3)]
    cluster.start_worker("one", wait=False)
    cluster.start_worker("two", wait=False)
    cluster.wait_ready()
    ledger.publish([*TERMS, *events])
    prove(cluster, ledger, tmp_path / "once")
    once = [ledger.hash(shard) for shard in range(cluster.topology.shards)]
    for name in ("one", "two"):
        cluster.start_worker(name, wait=False)
    cluster.wait_ready()
    random.Random(3).shuffle(events)
    ledger.publish([*TERMS, *events, *events])
    prove(cluster, ledger, tmp_path / "again")
    assert [ledger.hash(shard) for shard in range(cluster.topology.shards)] == once
    assert sum(ledger.counts(shard).stale for shard in range(8)) >= 2 * len(events)


def test_broken_events_are_dead_letters_with_their_cause_and_bytes(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], tmp_path: Path
) -> None:
    stray = upserts(catalog[:1])[0]
    home = ledger.home(catalog[0].id)
    broken = [
        *undecodables(3),
        Event(stray.key, stray.value, partition=(home + 1) % 8),
        Event(
            b"x", b'{"specversion":"1.0","type":"t","source":"s","id":"1","subject":"x","data":0}'
        ),
    ]
    cluster.start_worker("one")
    ledger.publish([*broken, *upserts(catalog[:40])])
    prove(cluster, ledger, tmp_path)
    letters = dead_letters(cluster)
    assert Counter(value for value, _ in letters) == Counter(event.value for event in broken)
    causes = " ".join(headers["kae-cause"].decode() for _, headers in letters)
    assert f"belongs to partition {home}" in causes
    assert "type: 't' is no item event" in causes
    assert "Input data was truncated" in causes


def test_an_item_that_cannot_be_planned_alone_is_a_dead_letter(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], tmp_path: Path
) -> None:
    # One character of three bytes that normalises to eighteen: within the event's bounds,
    # beyond those of a message once it is normalised.
    swelling = Item("swelling", "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 60_000)
    cluster.start_worker("one")
    ledger.publish(upserts(catalog[:200]))
    ledger.publish_dead(upserts([swelling])[0])
    ledger.publish(upserts(catalog[200:400]))
    prove(cluster, ledger, tmp_path)
    ((value, headers),) = dead_letters(cluster)
    assert headers["kae-cause"].startswith(b"item: EditTooLarge: normalised and encoded it has")
    assert value == upserts([swelling])[0].value


def dead_letters(cluster: Cluster) -> list[tuple[bytes, dict[str, bytes]]]:
    topic = cluster.topology.dead_letters_topic
    consumer = KafkaConsumer(bootstrap_servers=cluster.topology.kafka.bootstrap, group_id=None)
    partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    wanted = sum(consumer.end_offsets(partitions).values())
    found: list[tuple[bytes, dict[str, bytes]]] = []
    while len(found) < wanted:
        for records in consumer.poll(500).values():
            found += [(record.value, dict(record.headers)) for record in records]
    consumer.close()
    return found
