"""`kae behaviour ingest`: a record becomes an event, or is refused for a cause."""

import json
from pathlib import Path

import pytest
from tests.streams.behaviour_topic import records_of, write_lines
from tests.warm import run_kae

from kae.deploy.brokers import ApacheKafka
from kae.streams.errors import BehavioursOff
from kae.streams.events.behaviours import decode_behaviour
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.topics import apply_topics
from kae.streams.kafka.unread_partitions import TakenRecords, read_taken
from kae.streams.retrieval.behaviour_ingest import ingest_behaviour
from kae.streams.topology.types import Topology

ROWS = [
    {
        "query": "red tea pot",
        "session": "s1",
        "user": "u1",
        "time": "2026-07-01T10:00:00Z",
        "clicked": ["2"],
        "mail": "ann@shop.example",
    },
    {"query": "red tea pot", "clicked": ["2"]},
    {"query": "red tea pot", "clicked": ["2"]},
    {"query": "cup", "id": "r9", "session": 7, "ordered": [5]},
]
WRONG = [
    {"query": 7},
    {"query": "cup", "session": ["s1"]},
    {"query": "cup", "session": "s" * 257},
    {"query": "cup", "time": "yesterday"},
    {"query": "cup", "shown": [str(n) for n in range(1001)]},
    {"query": "cup", "time": 10**30},
    {"query": "\ud800"},
]


@pytest.fixture
def topology(kafka: ApacheKafka, tmp_path: Path) -> Topology:
    changes = {
        "kafka.bootstrap": kafka.bootstrap,
        "topics.prefix": tmp_path.name,
        "shards": 2,
    }
    made = Topology.load().edited(changes).write(tmp_path / "topology.yaml")
    apply_topics(made)
    return made


def with_users(topology: Topology) -> Topology:
    return topology.edited({"behaviours.users": True})


def test_what_is_read_is_sent_or_refused_for_a_cause(topology: Topology, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "behaviour.jsonl", [*ROWS, *WRONG])
    told = ingest_behaviour(topology, [file])
    assert (told.read, told.sent, told.refused) == (len(ROWS) + len(WRONG), 4, 7)
    assert sum(one.records for one in told.causes) == 7
    assert {(one.first.rpartition(" ")[2], one.cause, one.records) for one in told.causes} == {
        # The other one is half of a surrogate pair.
        ("5", "query is no text", 2),
        ("6", "session is no text", 1),
        ("7", "data: Expected `str` of length <= 256 - at `$.session`", 1),
        ("8", "data: Invalid RFC3339 encoded datetime - at `$.time`", 1),
        ("9", "data: Expected `array` of length <= 1000 - at `$.shown`", 1),
        ("10", "data: Expected `datetime | null`, got `int` - at `$.time`", 1),
    }
    assert len(records_of(topology)) == 4


def test_an_event_is_read_as_the_record_says(topology: Topology, tmp_path: Path) -> None:
    ingest_behaviour(topology, [write_lines(tmp_path / "behaviour.jsonl", ROWS)])
    events = [
        decode_behaviour(r.key, r.value, 1 << 18, r.timestamp, users=True)
        for r in records_of(topology)
    ]
    by_session = {event.session: event for event in events}
    first = by_session["s1"]
    assert (first.behaviour.query, first.behaviour.clicked) == ("red tea pot", ("2",))
    # 2026-07-01T10:00:00Z is 20,635 days and 10 hours after the epoch.
    assert first.at_ms == (20_635 * 24 + 10) * 3_600_000
    last = by_session["7"]
    assert (last.request, last.behaviour.ordered) == ("r9", ("5",))
    # Records without a session are sessions of their own, even if they are the same.
    assert len(by_session) == 4


def test_a_person_is_known_by_nothing_that_the_topology_does_not_allow(
    topology: Topology, tmp_path: Path
) -> None:
    file = write_lines(tmp_path / "behaviour.jsonl", ROWS)
    told = ingest_behaviour(topology, [file])
    assert told.users_left_out == 1
    written = b"".join(record.value for record in records_of(topology))
    assert b"u1" not in written
    assert b"ann@" not in written
    assert b'"s1"' in written
    told = ingest_behaviour(with_users(topology), [file])
    assert told.users_left_out == 0
    written = b"".join(record.value for record in records_of(topology))
    assert b'"user":"u1"' in written
    assert b"ann@" not in written


def test_a_file_that_is_sent_again_is_the_same_requests(topology: Topology, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "behaviour.jsonl", ROWS)
    ingest_behaviour(topology, [file])
    once = {record.key for record in records_of(topology)}
    ingest_behaviour(topology, [file.rename(tmp_path / "other.jsonl")])
    records = records_of(topology)
    assert len(records) == 2 * len(ROWS)
    assert {record.key for record in records} == once
    assert len(once) == len(ROWS)


def test_what_the_topic_has_taken_is_told(topology: Topology, tmp_path: Path) -> None:
    ingest_behaviour(topology, [write_lines(tmp_path / "behaviour.jsonl", ROWS)])
    with KafkaClients.for_reading(topology, "test") as clients:
        consumer = clients.consumer()
        assert read_taken(consumer, topology.behaviours_topic) == TakenRecords(4, 4)
        consumer.close()


def test_a_request_that_is_exported_again_among_others_is_the_same(
    topology: Topology, tmp_path: Path
) -> None:
    """A session asks for something once at a time, wherever in a file that stands."""
    ingest_behaviour(topology, [write_lines(tmp_path / "a.jsonl", ROWS[:1])])
    ingest_behaviour(topology, [write_lines(tmp_path / "b.jsonl", [ROWS[3], ROWS[0]])])
    assert len({record.key for record in records_of(topology)}) == 2


def test_the_command_counts_and_fails_for_what_was_refused(
    topology: Topology, tmp_path: Path
) -> None:
    file = write_lines(tmp_path / "behaviour.jsonl", [*ROWS, WRONG[0]])
    arguments = ("behaviour", "ingest", file, "--topology", topology.path, "--json")
    ended = run_kae(*arguments)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert f"1 of 5 records were refused; the most for this cause: {file} row 5" in line
    told = json.loads(ended.stdout)
    assert (told["read"], told["sent"], told["refused"]) == (5, 4, 1)
    allowed = run_kae(*arguments, "--allow-refused", "1")
    assert allowed.returncode == 0, allowed.stderr


def test_a_topology_without_the_section_says_what_to_add(
    topology: Topology, tmp_path: Path
) -> None:
    file = write_lines(tmp_path / "behaviour.jsonl", ROWS)
    with pytest.raises(BehavioursOff, match="run: kae topics apply"):
        ingest_behaviour(topology.edited({"behaviours": None}), [file])
