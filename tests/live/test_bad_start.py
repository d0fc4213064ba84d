"""Bad starts beside a broker that runs: one line that says what to do, and nothing half-done."""

import socket
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from tests.brokers import BEHIND_ACLS
from tests.live.ledger import Ledger, upserts
from tests.live.test_replica import items, wait_until

from kae.deploy.brokers import ApacheKafka, free_port
from kae.deploy.cluster import Cluster
from kae.deploy.processes import Process
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.fitting.build import build_codebook
from kae.encoders.items import Item


def said(process: Process, within_seconds: float = 30) -> str:
    """The one line that a command failed with."""
    assert process.wait(within_seconds) == 1, process.output()
    (line,) = process.output().splitlines()
    assert line.startswith("error: "), line
    return line


def ends(cluster: Cluster, topic: str) -> int:
    """Records of a topic."""
    consumer = KafkaConsumer(bootstrap_servers=cluster.broker.bootstrap, group_id=None)
    partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
    total: int = sum(consumer.end_offsets(partitions).values())
    consumer.close()
    return total


@pytest.fixture
def feed(cluster: Cluster) -> str:
    """The name of a feed in the cluster's folder."""
    (cluster.folder / "feed.jsonl").write_text('{"id": 1, "title": "x", "description": ""}\n')
    return "feed.jsonl"


def test_a_missing_topic_is_named_with_the_command_that_creates_it(
    cluster: Cluster, feed: str
) -> None:
    missing = cluster.topology.control_topic
    admin = KafkaAdminClient(bootstrap_servers=cluster.broker.bootstrap)
    admin.delete_topics([missing])
    wait_until(lambda: missing not in admin.list_topics())
    admin.close()
    commands: list[tuple[str, ...]] = [
        ("worker", "run", "--data", "stores"),
        ("replica", "run"),
        ("catalog", "ingest", feed),
        ("term", "bind", "x", "--match", "y"),
    ]
    for place, command in enumerate(commands):
        line = said(cluster.command(f"command-{place}", *command))
        hidden = " or, without the rights of `kae topology acls`, hidden" if BEHIND_ACLS else ""
        assert line == (
            f"error: topic {missing} is missing{hidden}; create it with: kae topics apply"
        )
    assert ends(cluster, cluster.topology.items_topic) == 0
    assert ends(cluster, cluster.topology.terms_topic) == 0
    assert not (cluster.folder / "stores").exists()


def test_other_partitions_are_refused(cluster: Cluster) -> None:
    cluster.topology.edited({"shards": 3}).write(cluster.topology.path)
    for name, command in (("worker", ("worker", "run")), ("topics", ("topics", "apply"))):
        line = said(cluster.command(name, *command))
        assert "has 8 partitions and" in line
        assert "set shards to what the topic has" in line


def test_a_second_worker_or_replica_in_the_same_folder_is_refused_and_the_first_goes_on(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    cluster.start_worker("worker-1", wait=False)
    replica = cluster.start_replica("replica-1", wait=False)
    cluster.wait_ready()
    line = said(cluster.command("second", "worker", "run", "--data", "worker-1"))
    assert "worker-1: another worker that runs has its files there" in line
    listen = ("--listen", f"127.0.0.1:{free_port()}")
    line = said(cluster.command("second", "replica", "run", "--data", "replica-1", *listen))
    assert "replica-1: another replica that runs has its files there" in line
    ledger.publish(upserts(catalog[:100]))
    wait_until(lambda: items(replica) == 100)
    cluster.check()


@pytest.mark.parametrize("place", ["file", "/dev/fd/kae"])
def test_a_store_folder_that_is_none_is_refused(cluster: Cluster, place: str) -> None:
    (cluster.folder / "file").write_text("")
    line = said(cluster.command("worker", "worker", "run", "--data", place))
    assert f"error: {place}: cannot hold stores: " in line
    assert "name a folder that can be written with --data" in line
    # Nothing was claimed: the logs are as empty as they were.
    assert ends(cluster, cluster.topology.deltas_topic) == 0


def test_another_codebook_than_the_logs_is_refused_before_anything_is_claimed(
    cluster: Cluster, ledger: Ledger, catalog: list[Item], codebook: Codebook, tmp_path: Path
) -> None:
    worker = cluster.start_worker("worker-1")
    ledger.publish(upserts(catalog[:50]))
    replica = cluster.start_replica("replica-1")
    wait_until(lambda: items(replica) == 50)
    worker.terminate()
    topology, other = cluster.topology, tmp_path / "other"
    fields = topology.catalog.fields
    fingerprint = build_codebook(
        lambda: catalog[:300], topology.codebook_groups, fields, other
    ).fingerprint
    topology.edited({"codebook.path": str(other)}).write(topology.path)
    before = ends(cluster, topology.deltas_topic), ends(cluster, topology.bindings_topic)
    for command in ("worker", "replica"):
        line = said(cluster.command(f"other-{command}", command, "run", "--data", "elsewhere"))
        assert f"begun with codebook {codebook.fingerprint}, {other} is {fingerprint}" in line
        assert "or raise generation for the second" in line
    assert (ends(cluster, topology.deltas_topic), ends(cluster, topology.bindings_topic)) == before
    assert not (cluster.folder / "elsewhere").exists()


def test_a_term_without_a_free_slot_is_refused_and_the_bound_one_stays(
    kafka: ApacheKafka, catalog: list[Item], tmp_path: Path
) -> None:
    changes: dict[str, object] = {
        "topics.prefix": tmp_path.name,
        "codebook.path": str(tmp_path / "codebook"),
        "worker.session_timeout_seconds": 2.0,
        "worker.heartbeat_seconds": 0.5,
    }
    with Cluster(tmp_path / "c", kafka, shards=2, workers=0, replicas=0, changes=changes) as small:
        data = small.topology.model_dump(mode="json")["groups"]
        narrow = [{**group, "reserved": 1} for group in data]
        topology = small.topology.edited({"groups": narrow})
        topology.write(small.topology.path)
        build_codebook(
            lambda: catalog[:200],
            topology.codebook_groups,
            topology.catalog.fields,
            tmp_path / "codebook",
        )
        small.start_worker("worker-1", wait=False)
        url = small.start_replica("replica-1", wait=False).url
        small.wait_ready()
        bind = ("--match", "black", "--category", "entity", "--replica", url)
        first = small.command("first", "term", "bind", "quietcore", *bind)
        assert first.wait(30) == 0
        line = said(small.command("second", "term", "bind", "loudcore", *bind))
        assert "position 1: 0 of 1 free" in line
        assert "Release a term" in line
        listed = small.command("list", "term", "list", "--json", "--replica", url)
        assert listed.wait(30) == 0
        assert [term["term"] for term in listed.report()["active"]] == ["quietcore"]
        told = small.command("capacity", "term", "capacity", "--json", "--replica", url)
        assert told.wait(30) == 0
        entities = told.report()["positions"][1]
        assert (entities["used"], entities["free"], entities["forecast"]) == (1, 0, "full")
        assert [one["term"] for one in entities["candidates"]] == ["quietcore"]
        asked = ("--min-items", "0", "--out", str(tmp_path / "next.tsv"))
        told = small.command("promote", "term", "promote", *asked, "--json", "--replica", url)
        assert told.wait(30) == 0
        assert [one["term"] for one in told.report()["terms"]] == ["quietcore"]
        assert "entity\tquietcore\t0\t1.000\t\n" in (tmp_path / "next.tsv").read_text()


def test_a_selector_that_matches_no_item_is_said_clearly(
    cluster: Cluster, ledger: Ledger, catalog: list[Item]
) -> None:
    cluster.start_worker("worker-1")
    ledger.publish(upserts(catalog[:50]))
    replica = cluster.start_replica("replica-1")
    wait_until(lambda: items(replica) == 50)
    bound = cluster.command(
        "bind", "term", "bind", "x", "--where", 'brand = "zzz"', "--json", "--replica", replica.url
    )
    assert bound.wait(30) == 0
    assert bound.report()["attached_items"] == 0
    warning = next(line for line in bound.output().splitlines() if line.startswith("warning: "))
    assert "no item matches --where 'brand = \"zzz\"'" in warning
    assert "kae term release 'x'" in warning


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("!!", "--match", "y"), "'!!': subject: '!!' has no letter or digit"),
        (("x", "--match", "y", "--category", "shoes"), "data.category: 'shoes' is none of entity"),
        (("x", "--where", "brand ="), "where: the end at character 8"),
        (("x",), "'x': no selector; give --match, --items or --where"),
        (("x", "--items", "nowhere.txt"), "nowhere.txt: cannot be read"),
    ],
)
def test_a_term_that_a_worker_would_refuse_is_not_published(
    cluster: Cluster, arguments: tuple[str, ...], told: str
) -> None:
    line = said(cluster.command("bad", "term", "bind", *arguments, "--no-wait"))
    assert told in line
    assert ends(cluster, cluster.topology.terms_topic) == 0


def test_a_replica_whose_address_is_taken_tells_it_and_signs_no_lease(cluster: Cluster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        line = said(cluster.command("late", "replica", "run", "--listen", listen))
    assert f"{listen}: cannot listen there: Address already in use" in line
    assert ends(cluster, cluster.topology.replicas_topic) == 0


def test_a_term_is_not_published_when_no_replica_can_tell_of_it(cluster: Cluster) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    for command in (("bind", "x", "--match", "y"), ("release", "x")):
        line = said(cluster.command("term", "term", *command, "--replica", nobody))
        assert f"no replica answers at {nobody}" in line
    assert ends(cluster, cluster.topology.terms_topic) == 0
