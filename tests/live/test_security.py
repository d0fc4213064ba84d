"""The whole line on brokers that encrypt, ask who is there and deny what nobody allowed."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import TopicAuthorizationFailedError
from tests.icecat import CATALOG, catalog_items
from tests.live.conftest import QUICK
from tests.live.killer import wait_for
from tests.live.test_replica import get, items
from tests.secured import PASSWORD, SecuredKafka
from tests.streams.behaviour_topic import send, write_lines

from kae.deploy.cluster import Cluster
from kae.deploy.processes import Process
from kae.streams.kafka.acls import KafkaRole, plan_acls
from kae.streams.kafka.connection import connection
from kae.streams.kafka.topic_plan import plan_topics
from kae.streams.topology.types import Topology

ROOT = Path(__file__).parents[2]
ITEMS = 300
# A login that is refused is tried again until a request's time is over.
BRIEF: dict[str, object] = {"kafka.request_timeout_seconds": 2.0}


def as_role(monkeypatch: pytest.MonkeyPatch, secured: SecuredKafka, role: KafkaRole) -> None:
    for name, value in secured.environment(role).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def line(
    secured: SecuredKafka, codebook_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    """Topics that the operator's user made; every process has its role's user and no more."""
    changes = {
        **QUICK,
        **secured.changes(),
        "topics.prefix": tmp_path.name,
        "codebook.path": str(codebook_folder),
    }
    cluster = Cluster(
        tmp_path / "cluster",
        secured.broker,
        shards=2,
        workers=0,
        replicas=0,
        changes=changes,
        environments=secured.environments(),
    )
    secured.allow(plan_acls(cluster.topology))
    as_role(monkeypatch, secured, KafkaRole.OPERATOR)
    with cluster as running:
        yield running


def ended(process: Process, within_seconds: float = 40) -> Process:
    process.wait(within_seconds)
    return process


def test_every_role_does_its_work_with_its_own_user_and_nobody_tells_a_password(
    line: Cluster, secured: SecuredKafka, tmp_path: Path
) -> None:
    replica = line.start_replica("replica-1", wait=False)
    line.start_worker("worker-1", wait=False)
    line.wait_ready()
    line.wait_ready()
    feed = str(CATALOG[0])
    ingested = line.command("ingest", "catalog", "ingest", feed, "--limit", str(ITEMS), "--json")
    assert ended(ingested).returncode == 0, ingested.output()
    wait_for(lambda: items(replica) == ITEMS, "the items")
    bind = ("term", "bind", "quietcore", "--where", 'brand = "hp"', "--replica", replica.url)
    assert ended(line.command("bind", *bind, "--json")).report()["state"] == "bound"
    for noun, *command in (("status",), ("log", "verify"), ("shard", "list")):
        ask = line.command(f"{noun}-asked", noun, *command, "--replica", replica.url, "--json")
        assert ended(ask).returncode == 0, ask.output()
    answers = "".join(get(replica, path).text for path in ("/status", "/metrics"))
    written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    for password in secured.passwords.values():
        assert password not in answers
        assert password.encode() not in written


@pytest.mark.timeout(180)
def test_behaviour_goes_from_a_recorder_to_a_trainer_and_is_erased_by_an_operator(
    line: Cluster, secured: SecuredKafka, tmp_path: Path
) -> None:
    replica = line.start_replica("replica-1", wait=False)
    line.start_worker("worker-1", wait=False)
    line.wait_ready()
    feed = str(CATALOG[0])
    ingested = line.command("ingest", "catalog", "ingest", feed, "--limit", "40")
    assert ended(ingested).returncode == 0, ingested.output()
    wait_for(lambda: items(replica) == 40, "the items")
    item = catalog_items(40)[0]
    rows = [{"query": item.title, "session": s, "clicked": [item.id]} for s in ("s1", "s2")]
    file = write_lines(tmp_path / "behaviour.jsonl", rows)
    sent = ended(line.command("send", "behaviour", "ingest", str(file), "--json"))
    assert sent.report()["sent"] == 2
    send(secured.as_superuser(line.topology), ("r3", b"{}"))
    build = ("samples", "build", "--behaviours-until", "end", "--json", "--out")
    built = ended(line.command("build", *build, str(tmp_path / "samples")), 120).report()
    assert (built["counts"]["items"]["used"], built["counts"]["behaviour"]["used"]) == (40, 2)
    assert built["counts"]["behaviour"]["passed_over"] == {"refused: specversion.missing": 1}
    letters = ended(
        line.command("listed", "dead-letters", "list", "--topic", "behaviours", "--json")
    )
    assert letters.report()["letters_found"] == 1
    erase = ("behaviour", "erase", "--session", "s1", "--yes", "--json")
    refused = ended(line.command("refused", *erase))
    assert (refused.returncode, refused.output().count("\n")) == (1, 1)
    assert "refuses" in refused.output()
    line.environments = {"behaviour": secured.environment(KafkaRole.OPERATOR)}
    assert ended(line.command("erased", *erase)).report()["erased"] == 1


def test_a_replica_comes_in_by_its_certificate(line: Cluster, secured: SecuredKafka) -> None:
    line.start_worker("worker-1")
    certified = line.topology.edited(secured.by_certificate(KafkaRole.REPLICA))
    line.topology = certified.write(line.folder / "certified.yaml")
    assert get(line.start_replica("replica-1"), "/readyz").status_code == 200


def test_a_user_can_do_exactly_what_the_acls_of_its_role_say(
    line: Cluster, secured: SecuredKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    topology = line.topology
    topics = {plan.name for plan in plan_topics(topology)}
    assert writable(secured.as_superuser(topology)) == topics
    for role in KafkaRole:
        as_role(monkeypatch, secured, role)
        for operation, probed in (("Write", writable), ("Read", readable)):
            acls = [a for a in plan_acls(topology) if a.role is role and a.resource == "topic"]
            allowed = {acl.name for acl in acls if operation in acl.operations}
            assert probed(topology) == allowed, (role, operation)


def test_a_replica_writes_nothing_but_its_lease_and_a_producer_nothing_but_items() -> None:
    topology = Topology.load()
    written = {
        role: {a.name for a in plan_acls(topology) if a.role is role and "Write" in a.operations}
        for role in KafkaRole
    }
    assert written[KafkaRole.REPLICA] == {topology.replicas_topic}
    assert written[KafkaRole.PRODUCER] == {topology.items_topic}
    assert written[KafkaRole.PROPOSER] == {topology.terms_topic}
    assert written[KafkaRole.RECORDER] == {topology.behaviours_topic}
    assert written[KafkaRole.TRAINER] == {topology.replicas_topic, topology.dead_letters_topic}
    assert written[KafkaRole.OPERATOR].isdisjoint({topology.deltas_topic, topology.bindings_topic})


def test_only_those_who_learn_from_behaviour_or_erase_it_may_read_it() -> None:
    topology = Topology.load()
    acls = [acl for acl in plan_acls(topology) if acl.name == topology.behaviours_topic]
    reading = {acl.role for acl in acls if "Read" in acl.operations}
    assert reading == {KafkaRole.TRAINER, KafkaRole.OPERATOR}
    without = topology.edited({"behaviours": None})
    assert all(acl.name != topology.behaviours_topic for acl in plan_acls(without))


def test_no_client_is_made_that_comes_in_by_another_way() -> None:
    made = re.compile(r"\b(Kafka(?:Consumer|Producer|AdminClient|Clients))\(\s*([^,\s]*)")
    ways = {
        (path.name, *found)
        for path in (ROOT / "streams").rglob("*.py")
        for found in made.findall(path.read_text(encoding="utf-8"))
    }
    inward = {"**connection(topology)", "**connection(self._topology)", "**self._settings"}
    assert ways
    assert {way for way in ways if way[2] not in inward} == set()


@pytest.mark.parametrize(
    ("role", "command"),
    [
        (KafkaRole.PROPOSER, ("catalog", "ingest", str(CATALOG[0]), "--limit", "5")),
        (KafkaRole.PRODUCER, ("term", "bind", "quietcore", "--where", 'brand = "hp"', "--no-wait")),
        (KafkaRole.PROPOSER, ("shard", "pause", "0", "--yes")),
        (KafkaRole.PRODUCER, ("topics", "apply")),
        (KafkaRole.REPLICA, ("worker", "run", "--data", "data")),
        (KafkaRole.PRODUCER, ("replica", "run", "--data", "data", "--listen", "127.0.0.1:0")),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:2]),
)
def test_a_command_that_its_user_may_not_give_ends_with_one_line(
    line: Cluster, secured: SecuredKafka, role: KafkaRole, command: tuple[str, ...]
) -> None:
    line.environments = {command[0]: secured.environment(role)}
    refused = ended(line.command("refused", *command))
    assert refused.returncode == 1
    said = [text for text in refused.output().splitlines() if "uthoriz" in text or "refuse" in text]
    assert said, refused.output()
    assert "Traceback" not in refused.output()


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({PASSWORD: "hush-wrong"}, "refuses env:KAE_KAFKA_USERNAME (SASL_SSL): no login"),
        ({PASSWORD: ""}, "kafka.security.password: env:KAE_KAFKA_PASSWORD is empty"),
        ({}, "its certificate is not trusted"),
    ],
    ids=["wrong password", "no password", "unknown authority"],
)
def test_who_cannot_come_in_is_told_why_and_never_with_what(
    line: Cluster, secured: SecuredKafka, environment: dict[str, str], told: str
) -> None:
    stranger = line.folder / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(stranger)
    changes = {**BRIEF, **({} if environment else {"kafka.security.ca_file": str(stranger)})}
    line.topology = line.topology.edited(changes).write(line.folder / "strange.yaml")
    line.environments = {"topics": {**secured.environment(KafkaRole.OPERATOR), **environment}}
    refused = ended(line.command("refused", "topics", "apply"))
    assert refused.returncode == 1
    assert told in refused.output()
    assert refused.output().count("\n") == 1
    assert "hush-" not in refused.output()


def writable(topology: Topology) -> set[str]:
    """The topics to which a record could be sent; it stays there."""
    producer = KafkaProducer(**connection(topology), acks="all", enable_idempotence=False)
    found = set()
    for plan in plan_topics(topology):
        try:
            producer.send(plan.name, key=b"probe", value=b"probe", partition=0).get(timeout=10)
        except TopicAuthorizationFailedError:
            continue
        found.add(plan.name)
    producer.close()
    return found


def readable(topology: Topology) -> set[str]:
    """The topics of which a record could be read; there is one in each."""
    consumer = KafkaConsumer(**connection(topology), group_id=None)
    found = set()
    for plan in plan_topics(topology):
        place = TopicPartition(plan.name, 0)
        consumer.assign([place])
        consumer.seek(place, 0)
        try:
            wait_for(lambda: consumer.poll(200), f"a record of {plan.name}")
        except TopicAuthorizationFailedError:
            continue
        found.add(plan.name)
    consumer.close()
    return found
