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
from kae.encoders.attributes import Item
from kae.streams import dead_letters
from kae.streams.dead_letters import DeadLetter, SourceRecord, source_key
from kae.streams.errors import LetterUnknown, RepairInvalid
from kae.streams.events import encode_item_upsert, encode_term_release
from kae.streams.kafka_log import KafkaClients
from kae.streams.letters import marks
from kae.streams.letters.choice import Choice, choose
from kae.streams.letters.letterbox import Letter, Letterbox, open_letterbox
from kae.streams.letters.marks import Claimed, Replay, Replayed
from kae.streams.letters.plan import Fate, plan
from kae.streams.letters.repairs import read_repairs
from kae.streams.letters.replay import Outcome, replay
from kae.streams.moments import moment_ms
from kae.streams.partitioner import partition_of
from kae.streams.topics import apply_topics
from kae.streams.topology import Topology

GOOD = encode_item_upsert(Item("a", "Toner"), 1, "/tests")
BAD = GOOD.replace(b'"revision":1', b'"revision":"1"')
LONG_AGO_MS = 1_000_000_000_000


@dataclass
class Desk:
    """Writes letters as a worker does, and marks as a run does."""

    topology: Topology
    producer: KafkaProducer
    clients: KafkaClients

    def letter(self, offset: int, key: bytes = b"a", value: bytes | None = BAD) -> DeadLetter:
        home = partition_of(key.decode(), self.topology.shards)
        record = SourceRecord(self.topology.items_topic, home, offset, 77, key, value, ())
        return DeadLetter(record, "data: Expected `int`, got `str`", "data.revision.type")

    def publish(self, *letters: DeadLetter) -> None:
        topic = self.topology.dead_letters_topic
        dead_letters.publish(self.clients, topic, letters, timeout_seconds=30)

    def claim(self, letter: Letter, run: str, at_ms: int) -> None:
        source = letter.source
        mark = Claimed(source.timestamp, letter.offset, run, "", source.topic, source.partition, 0)
        self.producer.send(
            self.topology.dead_letters_topic,
            key=letter.identity[0],
            value=marks.encode(mark),
            headers=[marks.HEADER],
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
            for records in consumer.poll(200).values():
                found += [record.value for record in records]
        consumer.close()
        return found

    def replay_all(self) -> Outcome:
        with open_letterbox(self.topology) as box:
            return replay(box, plan(box, choose(box, Choice()), {}, force=False))


@pytest.fixture
def desk(kafka: ApacheKafka, tmp_path: Path) -> Iterator[Desk]:
    changes = {"kafka.bootstrap": kafka.bootstrap, "topics.prefix": tmp_path.name}
    topology = Topology.load().edited(changes).write(tmp_path / "topology.yaml")
    apply_topics(topology)
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all")
    clients = KafkaClients(kafka.bootstrap, "desk", timeout_seconds=30, max_bytes=1 << 20)
    yield Desk(topology, producer, clients)
    clients.close()
    producer.close()


def letters_of(box: Letterbox) -> list[Letter]:
    return choose(box, Choice())


def test_a_letter_that_a_crash_wrote_twice_is_one_and_other_records_are_counted(desk: Desk) -> None:
    desk.publish(desk.letter(3), desk.letter(3), desk.letter(4))
    topic = desk.topology.dead_letters_topic
    desk.producer.send(topic, key=b"x", value=b"y", headers=[("kae-mark", b"1")]).get(timeout=30)
    desk.producer.send(topic, value=b"of nobody").get(timeout=30)
    with open_letterbox(desk.topology) as box:
        assert {letter.source.offset for letter in letters_of(box)} == {3, 4}
        assert len(box.letters) == 2
        assert box.foreign == 2
    assert len(desk.replay_all().sent) == 2
    assert desk.sent() == [BAD, BAD]


def test_a_source_may_name_its_headers_as_it_likes(desk: Desk) -> None:
    strange = (("kae-key", b"mine"), ("kae-mark", b"1"), ("kae-tombstone", b"1"), ("x", b"\xff"))
    written = desk.letter(0)
    record = replace(written.record, headers=strange, key=None, value=b"")
    desk.publish(replace(written, record=record))
    with open_letterbox(desk.topology) as box:
        (letter,) = letters_of(box)
        assert letter.source == replace(record, value=None)
        assert box.values([letter]) == {letter.identity: b""}


def test_a_letter_may_be_large_and_have_headers_without_a_value(desk: Desk) -> None:
    topology = desk.topology
    clients = KafkaClients(topology.kafka.bootstrap, "large", timeout_seconds=30, max_bytes=4096)
    desk.producer = clients.producer
    written = desk.letter(0, value=b" " * 1_000_000)
    desk.publish(replace(written, record=replace(written.record, headers=(("x", None),))))
    ((letter, _),) = desk.replay_all().sent
    clients.close()
    assert letter.source.headers == (("x", b""),)
    assert desk.sent() == [written.record.value]


def test_what_a_run_that_was_cut_short_has_sent_is_not_sent_again(desk: Desk) -> None:
    desk.publish(desk.letter(1), desk.letter(2))
    with open_letterbox(desk.topology) as box:
        first, second = letters_of(box)
    for letter in (first, second):
        desk.claim(letter, "cut-short", LONG_AGO_MS)
    headers = [(dead_letters.REPLAY_OF, first.address.encode())]
    place = desk.producer.send(desk.topology.items_topic, key=b"a", value=BAD, headers=headers)
    lies_at = (place.get(timeout=30).partition, 0)
    outcome = desk.replay_all()
    assert [(letter.address, at) for letter, at in outcome.found] == [(first.address, lies_at)]
    assert [letter.address for letter, _ in outcome.sent] == [second.address]
    assert desk.replay_all() == Outcome([], [], [])
    assert desk.sent() == [BAD, BAD]


def test_a_letter_that_another_run_has_just_claimed_is_left_to_it(desk: Desk) -> None:
    desk.publish(desk.letter(1))
    with open_letterbox(desk.topology) as box:
        (letter,) = letters_of(box)
        seen = plan(box, [letter], {}, force=False)
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        desk.claim(letter, "quicker", now_ms)
        # The plan was made before; the claim that comes second does not count.
        outcome = replay(box, seen)
    assert [one.address for one in outcome.busy] == [letter.address]
    assert [one.address for one in desk.replay_all().busy] == [letter.address]
    assert desk.sent() == []


def test_a_claim_counts_when_it_names_the_claim_before_it() -> None:
    def claim(run: str, after: str) -> Claimed:
        return Claimed(77, 1, run, after, "items", 0, 0)

    fold = Replay()
    for mark in (claim("one", ""), claim("two", ""), claim("three", "one"), claim("four", "one")):
        fold.apply(mark, 5)
    assert (fold.run, fold.done) == ("three", None)
    done = Replayed(77, 1, "three", "items", 0, 9)
    fold.apply(done, 6)
    fold.apply(claim("five", "three"), 7)
    fold.apply(msgspec.structs.replace(done, run="late"), 8)
    assert (fold.run, fold.done) == ("three", done)


def test_letters_are_chosen_by_kind_cause_topic_and_time(desk: Desk) -> None:
    release = encode_term_release("x", 1, "/tests")
    term = SourceRecord(desk.topology.terms_topic, 0, 5, 1, b"x", release, ())
    desk.publish(desk.letter(1), DeadLetter(term, "CodebookFull: position 3", "term.refused"))
    with open_letterbox(desk.topology) as box:
        item, refused = sorted(letters_of(box), key=lambda letter: letter.kind)
        assert choose(box, Choice(kind="data.revision")) == [item]
        assert choose(box, Choice(kind="data.rev")) == []
        assert choose(box, Choice(cause="codebookfull")) == [refused]
        assert choose(box, Choice(topic=desk.topology.terms_topic)) == [refused]
        assert choose(box, Choice(since_ms=max(item.at_ms, refused.at_ms) + 1)) == []
        assert choose(box, Choice(kind="term"), [item.address]) == []
        with pytest.raises(LetterUnknown, match="'0/999'"):
            choose(box, Choice(), ["0/999"])
        by_kind = {p.letter.kind: p for p in plan(box, [item, refused], {}, force=False)}
    assert by_kind["data.revision.type"].dies_of == "data.revision.type"
    assert by_kind["term.refused"].dies_of is None
    assert {one.fate for one in by_kind.values()} == {Fate.SEND}


def test_a_time_is_a_date_or_some_time_ago() -> None:
    assert moment_ms("2h", 7_200_500) == 500
    assert moment_ms("1970-01-01T00:01", 0) == moment_ms("1970-01-01T02:01+02:00", 0) == 60_000
    with pytest.raises(ValueError, match="yesterday"):
        moment_ms("yesterday", 0)


def test_a_repair_that_would_die_again_is_refused_before_anything_is_sent(
    desk: Desk, tmp_path: Path
) -> None:
    desk.publish(desk.letter(1), desk.letter(2))
    file = tmp_path / "repairs"
    with open_letterbox(desk.topology) as box:
        first, second = letters_of(box)
        file.write_text(
            f'{{"letter":"{first.address}","event":{GOOD.decode()}}}\n\n'
            f'{{"letter":"{second.address}","event":3,"key":"a"}}\n'
        )
        with pytest.raises(RepairInvalid, match=rf"{second.address}: .*Expected `object`"):
            plan(box, [first, second], read_repairs(file, None), force=False)
    for text, named in (("{", ":1: "), ("", "holds no line"), ('{"event":{}}', "`letter`")):
        file.write_text(text)
        with pytest.raises(RepairInvalid, match=named):
            read_repairs(file, None)
    assert desk.sent() == []


def test_a_letter_is_shown_written_to_a_file_repaired_and_replayed(
    desk: Desk, tmp_path: Path
) -> None:
    desk.publish(desk.letter(1))
    with open_letterbox(desk.topology) as box:
        (letter,) = letters_of(box)
    assert kae(desk, tmp_path, "show", letter.address, "--raw") == BAD
    shown = json.loads(kae(desk, tmp_path, "show", letter.address, "--json"))
    assert (shown["kind"], shown["event"]) == ("data.revision.type", json.loads(BAD))
    assert b"data.revision.type" in kae(desk, tmp_path, "list")
    assert b"got `str`" in kae(desk, tmp_path, "show", letter.address)
    repaired = tmp_path / "event.json"
    repaired.write_bytes(GOOD)
    arguments = ("replay", letter.address, "--with", str(repaired))
    assert b"nothing was sent" in kae(desk, tmp_path, *arguments, "--dry-run")
    assert b"1 sent" in kae(desk, tmp_path, *arguments, "--yes")
    assert b"1 replayed already" in kae(desk, tmp_path, *arguments, "--yes")
    assert desk.sent() == [GOOD]


def kae(desk: Desk, folder: Path, *arguments: str) -> bytes:
    done = run_kae("dead-letters", *arguments, "--topology", str(desk.topology.path), cwd=folder)
    done.check_returncode()
    return done.stdout.encode()


def test_the_key_of_a_letter_names_its_source() -> None:
    assert source_key(SourceRecord("a.b", 1, 2, 3, None, None, ())) == b"a.b/1/2"
