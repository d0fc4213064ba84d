"""Two generations side by side on Apache Kafka: cut-over and back while clients ask on and on."""

import os
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest
from tests.live.asking import kae, told
from tests.live.killer import wait_for
from tests.live.ledger import Event, Ledger, bind, deletes, upserts
from tests.live.streaming import Stream
from tests.live.successors import (
    Clients,
    Expected,
    announce_both,
    generations,
    second_generation,
)

from kae.deploy.cluster import Cluster
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Item
from kae.streams.control.records import Cutover
from kae.streams.generations.client import open_generations_client
from kae.streams.kafka.topics import admin_client
from kae.streams.replica.embedded import Replica
from kae.streams.topology.types import Topology

# An even number: in the end the first generation serves.
SWITCHES = int(os.environ.get("KAE_TEST_SWITCHES", "4"))
# Items of hp whose title has a word that the first codebook does not know.
NAMED = [
    Item(f"q{n}", f"HP Quietcore {n}", "", {"brand": "hp", "product_type": "quietcore"})
    for n in range(5)
]
TERMS = [bind("quietcore", where='brand = "hp"'), bind("deskmate", match="notebook")]


@pytest.fixture
def pace(pace: dict[str, object]) -> dict[str, object]:
    # Six processes and threads that spin share two cores: a lease is to outlast that.
    return {**pace, "replica.lease_seconds": 15.0}


@pytest.fixture
def second(cluster: Cluster, ledger: Ledger, catalog: list[Item], tmp_path: Path) -> Topology:
    """Generation 2, live beside 1 in two replicas; 605 items and two terms are in both."""
    cluster.start_worker("worker-1", wait=False)
    cluster.start_replica("replica-1", cluster.topology.replica.listen, wait=False)
    cluster.start_replica("replica-2", wait=False)
    ledger.publish([*upserts([*catalog[:600], *NAMED]), *TERMS])
    second = second_generation(cluster, [*catalog[:1000], *NAMED], tmp_path / "second")
    cluster.start_worker("worker-2", topology=second, wait=False)
    cluster.wait_ready()
    announce_both(cluster, second)
    return second


def moving(items: list[Item]) -> list[Event]:
    """Updates, deletes and duplicates."""
    changed = [Item(i.id, o.title, "", o.fields) for i, o in pairwise(items)]
    first = upserts(items)
    return [*upserts(changed, revision=2), *first[:50], *deletes(items[::3], revision=3)]


@pytest.mark.timeout(100 + 10 * SWITCHES)
def test_switching_gives_no_failed_and_no_mixed_answer_and_the_same_index_each_time(
    cluster: Cluster,
    second: Topology,
    ledger: Ledger,
    catalog: list[Item],
    codebook: Codebook,
) -> None:
    codebooks = {1: codebook, 2: Codebook.load(second.codebook_folder)}
    clients = Clients(Expected(codebooks, [*catalog[:400], *NAMED]))
    with ExitStack() as stack:
        for name in ("inside-1", "inside-2"):
            opened = Replica.open(cluster.topology, name=name)
            clients.decode(stack.enter_context(opened), name)
        for replica in cluster.replicas.values():
            clients.search(replica.url)
        for turn in range(SWITCHES):
            stream = Stream(ledger, moving(catalog[400:600]))
            arguments = ("promote", "2") if turn == 0 else ("rollback",)
            made = told(cluster, "generation", *arguments)
            assert made["generation"] == 2 - turn % 2
            assert made["replicas"] == ["inside-1", "inside-2", "replica-1", "replica-2"]
            stream.end()
        clients.end()
    assert clients.wrong == []
    asked = {who for who, _ in clients.seen()}
    assert clients.seen() == {(who, generation) for who in asked for generation in (1, 2)}
    verified = told(cluster, "generation", "verify", "2")
    assert (verified["complete"], verified["compared"]) == (True, list(range(8)))
    terms = {term["term"]: term for term in verified["terms"]}
    assert {name: term["promoted"] for name, term in terms.items()} == {
        "quietcore": True,
        "deskmate": False,
    }
    assert terms["quietcore"]["items"] > terms["quietcore"]["own_items"] == len(NAMED)
    for term in terms.values():
        assert term["items"] == term["items_before"] > 0
    told_of = generations(cluster.replica.url, hashed=True).generations
    for generation, known in codebooks.items():
        encoder = Encoder(known)
        shards = next(one for one in told_of if one.generation == generation).status.shards
        assert [s.hash for s in shards] == [ledger.hash(s.shard, encoder) for s in shards]


def test_a_cut_over_waits_for_what_is_behind_and_the_old_generation_can_be_dropped(
    cluster: Cluster, second: Topology, ledger: Ledger, catalog: list[Item]
) -> None:
    urls = [replica.url for replica in cluster.replicas.values()]
    cluster.workers["worker-2"].terminate()
    ledger.publish(upserts(catalog[600:700]))
    wait_for(lambda: {_items(url, 1) for url in urls} == {705}, "the first to have what came")

    refused = kae(cluster, "generation", "promote", "2", "--within", "0.2", code=1).stderr
    assert "generation 2 is not complete: shard 0: items are read up to offset" in refused
    _cut_over_all_the_same(cluster.topology, urls[0])
    wait_for(lambda: {generations(url).wanted for url in urls} == {2}, "the record to be heard")
    assert {generations(url).serving for url in urls} == {1}
    cluster.start_worker("worker-2", topology=second)
    wait_for(lambda: {generations(url).serving for url in urls} == {2}, "the replicas to switch")
    assert {_items(url, 2) for url in urls} == {705}

    drop = ("generation", "drop", "1", "--data", "worker-1", "--yes")
    planned = told(cluster, *drop, "--dry-run")
    assert "1 of its workers run" in planned["refused"]
    cluster.workers["worker-1"].terminate()
    assert "`kae generation rollback` would promote" in kae(cluster, *drop, code=1).stderr
    topics = [cluster.topology.bindings_topic, cluster.topology.deltas_topic]
    assert planned["topics"] == topics
    assert planned["folders"][0]["bytes"] > 0
    assert told(cluster, *drop, "--force")["topics"] == topics
    assert not (cluster.folder / "worker-1" / "g1").exists()
    with admin_client(cluster.topology) as admin:
        assert not set(topics) & set(admin.list_topics())
    assert "generation 1 was dropped" in kae(cluster, "generation", "rollback", code=1).stderr
    # topology.yaml of the first generation is good enough to follow the second.
    late = cluster.start_replica("replica-3")
    assert [one.generation for one in generations(late.url).generations] == [2]
    states = [one["state"] for one in told(cluster, "generation", "list")["generations"]]
    assert states == ["dropped", "serving"]
    cluster.check()


def _items(url: str, generation: int) -> int:
    shown = generations(url).generations
    return sum(one.status.items for one in shown if one.generation == generation)


def _cut_over_all_the_same(topology: Topology, url: str) -> None:
    """As if the new generation had lost its worker just after it was found complete."""
    first = next(one for one in generations(url).generations if one.generation == 1).status
    items = tuple(shard.source_next_offset for shard in first.shards)
    with open_generations_client(topology) as client:
        client.append(Cutover(2, 1, items, first.bindings.source_next_offset, "tests", "", 0))
