"""`kae behaviour erase`: by session and by user, for every reader, and from the broker's disk."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from tests.live.killer import wait_for
from tests.streams.behaviour_topic import records_of, send
from tests.warm import run_kae

from kae.deploy.brokers import ApacheKafka
from kae.streams.events.behaviours import BehaviourData, encode_behaviour
from kae.streams.kafka.topics import apply_topics
from kae.streams.retrieval.behaviour_erasure import erase_behaviour
from kae.streams.topology.types import Topology


@pytest.fixture
def topology(kafka: ApacheKafka, tmp_path: Path) -> Topology:
    changes = {"kafka.bootstrap": kafka.bootstrap, "topics.prefix": tmp_path.name, "shards": 2}
    made = Topology.load().edited(changes).write(tmp_path / "topology.yaml")
    apply_topics(made)
    return made


def asked(request: str, session: str, user: str = "") -> tuple[str, bytes | None]:
    return request, encode_behaviour(request, BehaviourData("tea", session, user), "/shop")


def tombstones(topology: Topology) -> Iterator[tuple[int, bytes]]:
    return ((r.partition, r.key) for r in records_of(topology) if r.value is None)


def test_the_requests_of_a_session_and_of_a_user_are_erased_once(topology: Topology) -> None:
    send(topology, asked("r1", "s1"), asked("r2", "s2", "u1"), asked("r3", "s3"))
    send(topology, asked("r4", "s1"), partition=1)
    told = erase_behaviour(topology, ["s1"], ["u1"])
    assert (told.read, told.found, told.erased, told.erased_before) == (4, 3, 3, 0)
    assert set(tombstones(topology)) == {(0, b"r1"), (0, b"r2"), (1, b"r4")}
    again = erase_behaviour(topology, ["s1"], ["u1"])
    assert (again.read, again.erased, again.erased_before) == (7, 0, 3)
    # What the session does afterwards is erased when it is asked for again.
    send(topology, asked("r1", "s1"))
    assert erase_behaviour(topology, ["s1"], []).erased == 1


def test_an_event_that_cannot_be_read_is_erased_if_it_names_them(topology: Topology) -> None:
    send(topology, ("r1", b'{"who": "s1", '), ("r2", b'{"who": "s10"}'), ("s1", b"{}"))
    assert erase_behaviour(topology, ["s1"], []).erased == 2
    assert set(tombstones(topology)) == {(0, b"r1"), (0, b"s1")}


def test_a_dry_run_and_a_command_that_cannot_ask_erase_nothing(topology: Topology) -> None:
    send(topology, asked("r1", "s1"))
    options = ("behaviour", "erase", "--session", "s1", "--topology", topology.path)
    dry = run_kae(*options, "--dry-run", "--json")
    told = json.loads(dry.stdout)
    assert (told["dry_run"], told["found"], told["erased"]) == (True, 1, 0)
    unasked = run_kae(*options)
    assert unasked.returncode == 1
    assert "nothing was erased" in unasked.stderr
    assert list(tombstones(topology)) == []
    assert run_kae(*options, "--yes").returncode == 0
    assert list(tombstones(topology)) == [(0, b"r1")]


@pytest.mark.timeout(180)
def test_the_broker_removes_the_bytes_of_what_was_erased(topology: Topology) -> None:
    """As with a day of events and erased_within_hours: 24, with segments and delays of moments."""
    admin = KafkaAdminClient(bootstrap_servers=topology.kafka.bootstrap)
    quick = {"segment.ms": "200", "max.compaction.lag.ms": "200", "min.cleanable.dirty.ratio": "0"}
    place = ConfigResource(ConfigResourceType.TOPIC, topology.behaviours_topic, quick)
    admin.alter_configs([place])
    admin.close()
    send(topology, asked("r1", "session-of-ann"), asked("r2", "s2"))
    erase_behaviour(topology, ["session-of-ann"], [])
    number = 0

    def is_gone() -> bool:
        nonlocal number
        number += 1
        # Events keep coming, so segments end.
        send(topology, asked(f"more-{number}", "s2"))
        return not any(b"ann" in (record.value or b"") for record in records_of(topology))

    wait_for(is_gone, "the broker to compact", seconds=120)
    keys = {record.key for record in records_of(topology) if record.value is not None}
    assert b"r2" in keys
