"""Dead letters on Apache Kafka without workers: chosen, shown, repaired, and sent once."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from tests.warm import run_kae

from kae.deploy.brokers import ApacheKafka
from kae.encoders.items import Item
from kae.streams.clock import parse_time_ms
from kae.streams.dead_letters import records
from kae.streams.dead_letters.index import (
    DeadLetterEntry,
    DeadLetterFilter,
    DeadLetterIndex,
    choose_dead_letters,
    open_index,
)
from kae.streams.dead_letters.records import (
    Claimed,
    DeadLetter,
    Replayed,
    ReplayProgress,
    SourceRecord,
    source_key,
)
from kae.streams.dead_letters.replay import ReplayOutcome, replay_dead_letters
from kae.streams.dead_letters.replay_plan import ReplayDecision, plan_replay, read_repairs
from kae.streams.errors import DeadLetterUnknown, RepairInvalid
from kae.streams.events.items import encode_item_upsert
from kae.streams.events.term_data import ReleaseData
from kae.streams.events.terms import encode_term
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.partitioner import partition_of
from kae.streams.kafka.topics import apply_topics
from kae.streams.topology.types import Topology

GOOD = encode_item_upsert(Item("a", "Toner"), 1, "/tests")
BAD = GOOD.replace(b'"revision":1', b'"revision":"1"')
LONG_AGO_MS = 1_000_000_000_000


@dataclass
class DeadLetterWriter:
    """Writes dead letters as a worker does, and claims as a run does."""

    topology: Topology
    producer: KafkaProducer
    clients: KafkaClients

    def letter(self, offset: int, key: bytes = b"a", value: bytes | None = BAD) -> DeadLetter:
        home = partition_of(key.decode(), self.topology.shards)
        record = SourceRecord(self.topology.items_topic, home, offset, 77, key, value, ())
        return DeadLetter(record, "data: Expected `int`, got `str`", "data.revision.type")

    def publish(self, *letters: DeadLetter) -> None:
        topic = self.topology.dead_letters_topic
        records.publish_dead_letters(self.clients, topic, letters, timeout_seconds=30)

    def claim(self, letter: DeadLetterEntry, run: str, at_ms: int) -> None:
        source = letter.source
        record = Claimed(
            source.timestamp, letter.offset, run, "", source.topic, source.partition, 0
        )
        self.producer.send(
            self.topology.dead_letters_topic,
            key=letter.identity[0],
            value=records.encode_replay_record(record),
            headers=[records.REPLAY_RECORD_HEADER],
            partition=letter.partition,
            timestamp_ms=at_ms,
        ).get(timeout=30)

    def sent(self) -> list[bytes]:
        """The values of the items topic."""
        consumer = KafkaConsumer(bootstrap_servers=self.topology.kafka.bootstrap, group_id=None)
        topic, shards = self.topology.items_topic, self.topology.shards
        places = [TopicPartition(topic, shard) for shard in range(shards)]
        consumer.assign(places)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(places)
        found: list[bytes] = []
        while any(consumer.position(place) < ends[place] for place in places):
            for fetched in consumer.poll(200).values():
                found += [record.value for record in fetched]
        consumer.close()
        return found

    def replay_all(self) -> ReplayOutcome:
        with open_index(self.topology) as index:
            return replay_dead_letters(
                index,
                plan_replay(index, choose_dead_letters(index, DeadLetterFilter()), {}, force=False),
            )


@pytest.fixture
def writer(kafka: ApacheKafka, tmp_path: Path) -> Iterator[DeadLetterWriter]:
    changes = {"kafka.bootstrap": kafka.bootstrap, "topics.prefix": tmp_path.name}
    topology = Topology.load().edited(changes).write(tmp_path / "topology.yaml")
    apply_topics(topology)
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all")
    clients = KafkaClients(kafka.bootstrap, "writer", timeout_seconds=30, max_bytes=1 << 20)
    yield DeadLetterWriter(topology, producer, clients)
    clients.close()
    producer.close()


def entries_of(index: DeadLetterIndex) -> list[DeadLetterEntry]:
    return choose_dead_letters(index, DeadLetterFilter())


def test_a_letter_that_a_crash_wrote_twice_is_one_and_foreign_records_are_counted(
    writer: DeadLetterWriter,
) -> None:
    writer.publish(writer.letter(3), writer.letter(3), writer.letter(4))
    topic = writer.topology.dead_letters_topic
    writer.producer.send(topic, key=b"x", value=b"y", headers=[("kae-mark", b"1")]).get(timeout=30)
    writer.producer.send(topic, value=b"of nobody").get(timeout=30)
    with open_index(writer.topology) as index:
        assert {letter.source.offset for letter in entries_of(index)} == {3, 4}
        assert len(index.entries) == 2
        assert index.foreign == 2
    assert len(writer.replay_all().sent) == 2
    assert writer.sent() == [BAD, BAD]


def test_a_source_may_name_its_headers_as_it_likes(writer: DeadLetterWriter) -> None:
    strange = (("kae-key", b"mine"), ("kae-mark", b"1"), ("kae-tombstone", b"1"), ("x", b"\xff"))
    written = writer.letter(0)
    record = replace(written.record, headers=strange, key=None, value=b"")
    writer.publish(replace(written, record=record))
    with open_index(writer.topology) as index:
        (letter,) = entries_of(index)
        assert letter.source == replace(record, value=None)
        assert index.values([letter]) == {letter.identity: b""}


def test_a_letter_may_be_large_and_have_headers_without_a_value(
    writer: DeadLetterWriter,
) -> None:
    topology = writer.topology
    clients = KafkaClients(topology.kafka.bootstrap, "large", timeout_seconds=30, max_bytes=4096)
    writer.producer = clients.producer
    written = writer.letter(0, value=b" " * 1_000_000)
    writer.publish(replace(written, record=replace(written.record, headers=(("x", None),))))
    ((letter, _),) = writer.replay_all().sent
    clients.close()
    assert letter.source.headers == (("x", b""),)
    assert writer.sent() == [written.record.value]


def test_what_a_run_that_was_cut_short_has_sent_is_not_sent_again(
    writer: DeadLetterWriter,
) -> None:
    writer.publish(writer.letter(1), writer.letter(2))
    with open_index(writer.topology) as index:
        first, second = entries_of(index)
    for letter in (first, second):
        writer.claim(letter, "cut-short", LONG_AGO_MS)
    headers = [(records.REPLAY_OF, first.address.encode())]
    place = writer.producer.send(writer.topology.items_topic, key=b"a", value=BAD, headers=headers)
    lies_at = (place.get(timeout=30).partition, 0)
    outcome = writer.replay_all()
    assert [(letter.address, at) for letter, at in outcome.found] == [(first.address, lies_at)]
    assert [letter.address for letter, _ in outcome.sent] == [second.address]
    assert writer.replay_all() == ReplayOutcome([], [], [])
    assert writer.sent() == [BAD, BAD]


def test_a_letter_that_another_run_has_just_claimed_is_left_to_it(
    writer: DeadLetterWriter,
) -> None:
    writer.publish(writer.letter(1))
    with open_index(writer.topology) as index:
        (letter,) = entries_of(index)
        seen = plan_replay(index, [letter], {}, force=False)
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        writer.claim(letter, "quicker", now_ms)
        # The plan was made before; the claim that comes second does not count.
        outcome = replay_dead_letters(index, seen)
    assert [one.address for one in outcome.busy] == [letter.address]
    assert [one.address for one in writer.replay_all().busy] == [letter.address]
    assert writer.sent() == []


def test_a_claim_counts_when_it_names_the_claim_before_it() -> None:
    def claim(run: str, after: str) -> Claimed:
        return Claimed(77, 1, run, after, "items", 0, 0)

    fold = ReplayProgress()
    for record in (claim("one", ""), claim("two", ""), claim("three", "one"), claim("four", "one")):
        fold.apply(record, 5)
    assert (fold.run, fold.done) == ("three", None)
    done = Replayed(77, 1, "three", "items", 0, 9)
    fold.apply(done, 6)
    fold.apply(claim("five", "three"), 7)
    fold.apply(msgspec.structs.replace(done, run="late"), 8)
    assert (fold.run, fold.done) == ("three", done)


def test_letters_are_chosen_by_kind_cause_topic_and_time(writer: DeadLetterWriter) -> None:
    release = encode_term("x", ReleaseData(1), "/tests")
    term = SourceRecord(writer.topology.terms_topic, 0, 5, 1, b"x", release, ())
    writer.publish(writer.letter(1), DeadLetter(term, "CodebookFull: position 3", "term.refused"))
    with open_index(writer.topology) as index:
        item, refused = sorted(entries_of(index), key=lambda letter: letter.kind)
        assert choose_dead_letters(index, DeadLetterFilter(kind="data.revision")) == [item]
        assert choose_dead_letters(index, DeadLetterFilter(kind="data.rev")) == []
        assert choose_dead_letters(index, DeadLetterFilter(cause="codebookfull")) == [refused]
        assert choose_dead_letters(index, DeadLetterFilter(topic=writer.topology.terms_topic)) == [
            refused
        ]
        assert (
            choose_dead_letters(
                index, DeadLetterFilter(since_ms=max(item.at_ms, refused.at_ms) + 1)
            )
            == []
        )
        assert choose_dead_letters(index, DeadLetterFilter(kind="term"), [item.address]) == []
        with pytest.raises(DeadLetterUnknown, match="'0/999'"):
            choose_dead_letters(index, DeadLetterFilter(), ["0/999"])
        by_kind = {p.entry.kind: p for p in plan_replay(index, [item, refused], {}, force=False)}
    assert by_kind["data.revision.type"].refused_as == "data.revision.type"
    assert by_kind["term.refused"].refused_as is None
    assert {one.decision for one in by_kind.values()} == {ReplayDecision.SEND}


def test_a_time_is_a_date_or_some_time_ago() -> None:
    assert parse_time_ms("2h", 7_200_500) == 500
    assert (
        parse_time_ms("1970-01-01T00:01", 0) == parse_time_ms("1970-01-01T02:01+02:00", 0) == 60_000
    )
    with pytest.raises(ValueError, match="yesterday"):
        parse_time_ms("yesterday", 0)


def test_a_repair_that_would_die_again_is_refused_before_anything_is_sent(
    writer: DeadLetterWriter, tmp_path: Path
) -> None:
    writer.publish(writer.letter(1), writer.letter(2))
    file = tmp_path / "repairs"
    with open_index(writer.topology) as index:
        first, second = entries_of(index)
        file.write_text(
            f'{{"letter":"{first.address}","event":{GOOD.decode()}}}\n\n'
            f'{{"letter":"{second.address}","event":3,"key":"a"}}\n'
        )
        with pytest.raises(RepairInvalid, match=rf"{second.address}: .*Expected `object`"):
            plan_replay(index, [first, second], read_repairs(file, None), force=False)
    for text, named in (("{", ":1: "), ("", "holds no line"), ('{"event":{}}', "`letter`")):
        file.write_text(text)
        with pytest.raises(RepairInvalid, match=named):
            read_repairs(file, None)
    assert writer.sent() == []


def test_a_letter_is_shown_written_to_a_file_repaired_and_replayed(
    writer: DeadLetterWriter, tmp_path: Path
) -> None:
    writer.publish(writer.letter(1))
    with open_index(writer.topology) as index:
        (letter,) = entries_of(index)
    assert kae(writer, tmp_path, "show", letter.address, "--raw") == BAD
    shown = json.loads(kae(writer, tmp_path, "show", letter.address, "--json"))
    assert (shown["kind"], shown["event"]) == ("data.revision.type", json.loads(BAD))
    assert b"data.revision.type" in kae(writer, tmp_path, "list")
    assert b"got `str`" in kae(writer, tmp_path, "show", letter.address)
    repaired = tmp_path / "event.json"
    repaired.write_bytes(GOOD)
    arguments = ("replay", letter.address, "--with", str(repaired))
    assert b"nothing was sent" in kae(writer, tmp_path, *arguments, "--dry-run")
    assert b"1 sent" in kae(writer, tmp_path, *arguments, "--yes")
    assert b"1 replayed already" in kae(writer, tmp_path, *arguments, "--yes")
    assert writer.sent() == [GOOD]


def kae(writer: DeadLetterWriter, folder: Path, *arguments: str) -> bytes:
    done = run_kae("dead-letters", *arguments, "--topology", str(writer.topology.path), cwd=folder)
    done.check_returncode()
    return done.stdout.encode()


def test_the_key_of_a_letter_names_its_source() -> None:
    assert source_key(SourceRecord("a.b", 1, 2, 3, None, None, ())) == b"a.b/1/2"
