"""Behaviour events: what is read of one, and what of a person is not."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.streams.binary import as_binary

from kae.encoders.retriever.samples import Behaviour
from kae.streams.events.behaviours import BehaviourData, decode_behaviour, encode_behaviour
from kae.streams.events.envelope import Undecodable
from kae.streams.kafka.topic_plan import plan_topics
from kae.streams.topology.types import REFERENCE, Topology

# A second after noon in Berlin, in summer: 10:00:01 UTC.
TIME = datetime.fromisoformat("2026-07-01T12:00:01+02:00")
TIME_MS = int(datetime(2026, 7, 1, 10, 0, 1, tzinfo=UTC).timestamp() * 1000)
DATA = BehaviourData(
    "red tea pot", "s1", user="u1", time=TIME, shown=["1", "2"], clicked=["2"], history=["9"]
)
EVENT = encode_behaviour("r1", DATA, "/shop")
BYTES = 16_384


def changed(**fields: object) -> bytes:
    event: dict[str, Any] = json.loads(EVENT)
    event["data"] |= fields
    return json.dumps(event).encode()


def refused(key: bytes | None, value: bytes | None) -> Undecodable:
    with pytest.raises(Undecodable) as error:
        decode_behaviour(key, value, BYTES, 5, users=True)
    return error.value


def test_an_event_is_read_with_its_request_session_and_time() -> None:
    read = decode_behaviour(b"r1", EVENT, BYTES, 5, users=True)
    assert (read.request, read.session, read.user, read.at_ms) == ("r1", "s1", "u1", TIME_MS)
    assert read.behaviour == Behaviour(
        "red tea pot", shown=("1", "2"), clicked=("2",), history=("9",)
    )


def test_without_a_time_it_happened_when_the_broker_took_it() -> None:
    assert decode_behaviour(b"r1", changed(time=None), BYTES, 5, users=False).at_ms == 5


def test_both_content_modes_say_the_same() -> None:
    headers, data = as_binary(EVENT)
    structured = decode_behaviour(b"r1", EVENT, BYTES, 5, users=True)
    assert decode_behaviour(b"r1", data, BYTES, 5, users=True, headers=headers) == structured


def test_a_user_is_left_out_where_none_is_allowed() -> None:
    assert decode_behaviour(b"r1", EVENT, BYTES, 5, users=False).user == ""
    assert decode_behaviour(b"r1", changed(mail="a@b.example"), BYTES, 5, users=False) == (
        decode_behaviour(b"r1", changed(user=""), BYTES, 5, users=False)
    )


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        (b"r1", None, "value.missing"),
        (b"r1", b"x" * (BYTES + 1), "value.size"),
        (None, EVENT, "key.missing"),
        (b"s1", EVENT, "key.differs"),
        (b"r1", EVENT[:-1], "event.truncated"),
        (b"r1", EVENT.replace(b"behaviour.v1", b"behaviour.v2"), "type.version"),
        (b"r1", EVENT.replace(b"kae.behaviour.v1", b"kae.item.upsert.v1"), "type.unknown"),
        (b"r1", changed(query=7), "data.query.type"),
        (b"r1", changed(session=""), "data.session.length"),
        (b"r1", changed(shown=["1"] * 1001), "data.shown.length"),
        (b"r1", changed(time="2026-07-01T12:00:01"), "data.time.invalid"),
    ],
)
def test_an_event_beyond_its_bounds_is_refused_by_kind(
    key: bytes | None, value: bytes | None, kind: str
) -> None:
    assert refused(key, value).kind == kind


@pytest.mark.parametrize("value", [EVENT, changed(user=7), changed(session="s1" * 200)])
def test_the_cause_of_a_refusal_names_no_person(value: bytes) -> None:
    cause = str(refused(b"s1-of-ann", value))
    assert "ann" not in cause
    assert "u1" not in cause
    assert "s1" not in cause


def test_the_topic_forgets_by_time_and_is_compacted() -> None:
    topology = Topology.load().edited(
        {"shards": 3, "behaviours": {"retention_hours": 2, "erased_within_hours": 1}}
    )
    (plan,) = [one for one in plan_topics(topology) if one.name == "kae.behaviours"]
    assert plan.partitions == 3
    settings = {name: plan.settings[name] for name in ("cleanup.policy", "retention.ms")}
    assert settings == {"cleanup.policy": "compact,delete", "retention.ms": "7200000"}
    assert plan.settings["max.compaction.lag.ms"] == "3600000"


def test_a_topology_without_the_section_is_as_before(tmp_path: Path) -> None:
    """Without it there is no topic; a section that says nothing has its defaults."""
    data = yaml.safe_load(REFERENCE.read_text(encoding="utf-8"))
    del data["behaviours"]
    path = tmp_path / "topology.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    older = Topology.load(path)
    assert older.behaviours is None
    assert older.behaviours_topic not in {plan.name for plan in plan_topics(older)}
    data["behaviours"] = {}
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    found = Topology.load(path).behaviours
    assert found is not None
    assert (found.retention_hours, found.users, found.erased_within_hours) == (2160, False, 24)
