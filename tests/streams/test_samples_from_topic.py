"""Samples of the behaviours topic: up to named offsets, the same bytes, and nothing twice."""

import json
from pathlib import Path

import msgspec
import pytest
from tests.icecat import catalog_items
from tests.streams.behaviour_topic import records_of, send, write_lines
from tests.warm import run_kae

from kae.deploy.brokers import ApacheKafka
from kae.encoders.items import Item
from kae.streams.dead_letters.index import DeadLetterEntry, DeadLetterIndex, open_index
from kae.streams.dead_letters.replay_plan import Repair, ReplayDecision, plan_replay
from kae.streams.errors import SamplesInvalid
from kae.streams.events.behaviours import BehaviourData, encode_behaviour
from kae.streams.kafka.topics import apply_topics
from kae.streams.retrieval.behaviour_erasure import erase_behaviour
from kae.streams.retrieval.build_samples import SamplesOptions, build_samples
from kae.streams.retrieval.sample_files import OffsetRange, SamplesManifest, read_part
from kae.streams.topology.types import Topology

# Each builds with Beam, in this process.
pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def topology(kafka: ApacheKafka, codebook_folder: Path, tmp_path: Path) -> Topology:
    changes = {
        "kafka.bootstrap": kafka.bootstrap,
        "topics.prefix": tmp_path.name,
        "codebook.path": str(codebook_folder),
        "shards": 2,
    }
    made = Topology.load().edited(changes)
    apply_topics(made)
    return made


@pytest.fixture
def items() -> list[Item]:
    return catalog_items(20)


@pytest.fixture
def feed(items: list[Item], tmp_path: Path) -> Path:
    rows = [{"id": one.id, "title": one.title, **one.fields} for one in items]
    return write_lines(tmp_path / "feed.jsonl", rows)


def asked(request: str, item: Item, session: str = "s1") -> tuple[str, bytes]:
    data = BehaviourData(item.title, session, clicked=[item.id])
    return request, encode_behaviour(request, data, "/shop")


def built(
    topology: Topology, out: Path, feed: Path, until: tuple[int, ...] = ()
) -> SamplesManifest:
    options = SamplesOptions(out, catalog=(feed,), behaviours_until=until)
    return build_samples(topology, options)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def histories(folder: Path) -> list[int]:
    """How many items the histories of the samples of `retrieve` have."""
    parts = sorted(folder.glob("S3/*.parquet"))
    samples = (sample for part in parts for sample in read_part(part))
    return sorted(len(one.history) for one in samples if one.task == "retrieve")


def test_what_is_read_is_used_or_passed_over_and_the_same_offsets_give_the_same_bytes(
    topology: Topology, items: list[Item], feed: Path, tmp_path: Path
) -> None:
    first, second = items[0], items[1]
    nothing = encode_behaviour("r5", BehaviourData("looked", "s1", shown=["1"]), "/shop")
    records: list[tuple[str, bytes | None]] = [
        asked("r1", first),
        asked("r1", second),
        asked("r2", first, "s2"),
        ("r3", b"{}"),
        asked("r4", first),
        ("r4", None),
        ("r5", nothing),
    ]
    send(topology, *records)
    send(topology, asked("r6", first), partition=1)
    manifest = built(topology, tmp_path / "out", feed)
    counts = manifest.counts["behaviour"]
    assert (counts.read, counts.used) == (8, 3)
    assert counts.passed_over == {
        "a later event of its request counts": 1,
        "a tombstone, which erases": 1,
        "it was erased": 1,
        "nothing was clicked or ordered": 1,
        "refused: specversion.missing": 1,
    }
    assert manifest.source.behaviours == (OffsetRange(0, 0, 7), OffsetRange(1, 0, 1))
    # Later events of the same requests change nothing up to the same offsets.
    send(topology, asked("r1", items[2]), asked("r7", first))
    built(topology, tmp_path / "again", feed, until=(7, 1))
    assert contents(tmp_path / "again") == contents(tmp_path / "out")
    later = built(topology, tmp_path / "later", feed)
    assert later.counts["behaviour"].used == 4
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(("out.", "later."))]


def test_the_same_events_twice_and_late_give_the_same_samples(
    topology: Topology, items: list[Item], feed: Path, tmp_path: Path
) -> None:
    times = ["2026-07-01T10:00:00Z", "2026-07-01T10:00:01Z", "2026-07-01T10:00:02Z"]
    events = []
    for number, time in enumerate(times):
        data = {"query": items[number].title, "session": "s1", "time": time}
        whole = {
            "specversion": "1.0",
            "type": "kae.behaviour.v1",
            "source": "/shop",
            "id": "1",
            "subject": f"r{number}",
            "data": {**data, "clicked": [items[number].id]},
        }
        events.append((f"r{number}", json.dumps(whole).encode()))
    send(topology, *events)
    built(topology, tmp_path / "once", feed)
    assert histories(tmp_path / "once") == [0, 1, 2]
    # In the reverse order, after those of the first time.
    send(topology, *reversed(events))
    twice = built(topology, tmp_path / "twice", feed)
    assert twice.counts["behaviour"].used == 3
    once, again = contents(tmp_path / "once"), contents(tmp_path / "twice")
    samples = [name for name in once if name.endswith(".parquet")]
    assert samples
    assert {name: again[name] for name in samples} == {name: once[name] for name in samples}


@pytest.mark.parametrize(("users", "lengths"), [(False, [0, 0]), (True, [0, 1])])
def test_sessions_of_a_user_are_one_persons_only_where_users_are_allowed(
    users: bool,
    lengths: list[int],
    topology: Topology,
    items: list[Item],
    feed: Path,
    tmp_path: Path,
) -> None:
    for number in (0, 1):
        item = items[number]
        data = BehaviourData(item.title, f"s{number}", "u1", clicked=[item.id])
        send(topology, (f"r{number}", encode_behaviour(f"r{number}", data, "/shop")))
    allowed = topology.edited({"behaviours.users": users})
    built(allowed, tmp_path / "out", feed)
    assert histories(tmp_path / "out") == lengths


def test_the_command_reads_to_the_end_or_to_the_offsets_that_it_shows(
    topology: Topology, items: list[Item], feed: Path, tmp_path: Path
) -> None:
    send(topology, asked("r1", items[0]))
    given = topology.write(tmp_path / "topology.yaml").path
    command = ("samples", "build", "--catalog", feed, "--topology", given, "--out")
    ended = run_kae(*command, tmp_path / "out", "--behaviours-until", "end")
    assert ended.returncode == 0, ended.stderr
    shown = run_kae("samples", "show", tmp_path / "out").stdout
    assert "of the behaviours topic: --behaviours-until 1,0\n" in shown
    send(topology, asked("r2", items[1]))
    again = run_kae(*command, tmp_path / "again", "--behaviours-until", "1,0")
    assert again.returncode == 0, again.stderr
    assert contents(tmp_path / "again") == contents(tmp_path / "out")
    wrong = run_kae(*command, tmp_path / "wrong", "--behaviours-until", "1,-1")
    assert wrong.returncode == 2
    assert "give end, or offsets as 120,98" in " ".join(wrong.stderr.replace("│", " ").split())


def test_nothing_that_was_erased_is_learned_whatever_the_offsets(
    topology: Topology, items: list[Item], feed: Path, tmp_path: Path
) -> None:
    send(topology, asked("r1", items[0], "s1"), asked("r2", items[1], "s2"))
    told = erase_behaviour(topology, ["s1"], [])
    assert (told.read, told.found, told.erased) == (2, 1, 1)
    manifest = built(topology, tmp_path / "out", feed, until=(2, 0))
    counts = manifest.counts["behaviour"]
    assert (counts.read, counts.used, counts.passed_over) == (2, 1, {"it was erased": 1})


def test_an_event_that_is_none_is_a_dead_letter_once_and_has_no_copy(
    topology: Topology, items: list[Item], feed: Path, tmp_path: Path
) -> None:
    (offset,) = send(topology, ("r1", b'{"session": "s1-of-ann"}'))
    for name in ("out", "again"):
        built(topology, tmp_path / name, feed)
    (stored,) = records_of(topology, topology.dead_letters_topic)
    assert stored.value is None
    assert b"ann" not in b"".join(value for _, value in stored.headers)
    with open_index(topology) as index:
        (entry,) = index.entries.values()
        assert (entry.kind, entry.source.offset) == ("specversion.missing", offset)
        # It is shown from where it is.
        assert index.values([entry])[entry.identity] == b'{"session": "s1-of-ann"}'
        assert planned(index, entry, None) is ReplayDecision.KEPT
        _, value = asked("r1", items[0])
        assert planned(index, entry, value) is ReplayDecision.SEND


def planned(
    index: DeadLetterIndex, entry: DeadLetterEntry, repaired: bytes | None
) -> ReplayDecision:
    repairs = {}
    if repaired is not None:
        repairs[entry.address] = Repair(entry.address, msgspec.Raw(repaired))
    (one,) = plan_replay(index, [entry], repairs, force=False)
    return one.decision


@pytest.mark.parametrize(
    ("until", "said"),
    [((1,), "has 2 partitions, and 1 offsets are given"), ((5, 0), "ends at 0, and 5 is given")],
)
def test_offsets_that_the_topic_does_not_have_are_refused(
    until: tuple[int, ...], said: str, topology: Topology, feed: Path, tmp_path: Path
) -> None:
    with pytest.raises(SamplesInvalid, match=said):
        built(topology, tmp_path / "out", feed, until=until)
    assert not (tmp_path / "out").exists()
