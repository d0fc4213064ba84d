"""The committed contracts: what the command writes, and what the decoder does."""

import json
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.streams.binary import as_binary
from tests.streams.committed import CONTRACTS, Document, committed

from kae.deploy.processes import kae_command
from kae.encoders.items import Item
from kae.streams.events.asyncapi import EXAMPLES
from kae.streams.events.behaviours import BEHAVIOUR, decode_behaviour
from kae.streams.events.contracts import EVENTS, NAMES, file_name
from kae.streams.events.envelope import Undecodable
from kae.streams.events.items import (
    ITEM_DELETE,
    ITEM_UPSERT,
    decode_item,
    encode_item_delete,
    encode_item_upsert,
)
from kae.streams.events.term_data import (
    TERM_BIND,
    TERM_RELEASE,
    BindData,
    ReleaseData,
    SelectorData,
)
from kae.streams.events.terms import TermRules, decode_term, encode_term
from kae.streams.topology.types import REFERENCE

RULES = TermRules("entity", lambda category: category % 6, items_per_selector=10_000)
LIMIT = 1 << 20


@cache
def validator(type_: str, part: str = "") -> jsonschema.Draft202012Validator:
    """Of a whole event, or of one of its $defs."""
    schema = committed(type_)
    return jsonschema.Draft202012Validator(
        {"$ref": f"#/$defs/{part}", "$defs": schema["$defs"]} if part else schema
    )


def decodes(type_: str, event: Any) -> bool:
    value = json.dumps(event).encode()
    subject = event.get("subject") if isinstance(event, dict) else None
    key = subject.encode() if isinstance(subject, str) else b"x"
    try:
        if type_ in (ITEM_UPSERT, ITEM_DELETE):
            decode_item(key, value, LIMIT)
        elif type_ == BEHAVIOUR:
            decode_behaviour(key, value, LIMIT, 9, users=True)
        else:
            decode_term(key, value, LIMIT, 9, RULES)
    except Undecodable:
        return False
    return True


def test_the_committed_files_are_what_the_command_writes(tmp_path: Path) -> None:
    command = kae_command("contracts", "write", str(tmp_path), "--topology", str(REFERENCE))
    subprocess.run(command, check=True, capture_output=True)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in CONTRACTS.iterdir()}
    assert len(written) == len(NAMES)


def test_a_contract_is_shown_as_its_file_or_as_one_line_of_json() -> None:
    for name in ("kae.term.bind.v1", "asyncapi"):
        command = kae_command("contracts", "show", name, "--topology", str(REFERENCE))
        shown = subprocess.run(command, check=True, capture_output=True).stdout
        assert shown == (CONTRACTS / file_name(name)).read_bytes()
        line = subprocess.run([*command, "--json"], check=True, capture_output=True).stdout
        assert json.loads(line) == committed(name)
    wrong = subprocess.run(
        kae_command("contracts", "show", "kae.item"), capture_output=True, text=True, check=False
    )
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    assert "'kae.item': no such contract; choose from kae.item.upsert.v1" in wrong.stderr


def real_events(items: list[Item]) -> Iterator[tuple[str, bytes]]:
    for item in items:
        yield ITEM_UPSERT, encode_item_upsert(item, 7, "/feed", "2026-01-01T00:00:00Z")
        yield ITEM_DELETE, encode_item_delete(item.id, 8, "/feed")
    for word in ("zorblax", "käse"):
        data = BindData(1, SelectorData("black", [items[0].id], 'brand = "hp"'), ["zor"], "brand")
        yield TERM_BIND, encode_term(word, data, "/ops")
        yield TERM_RELEASE, encode_term(word, ReleaseData(2), "/ops")


def test_every_event_that_kae_writes_is_valid_in_both_modes(catalog: list[Item]) -> None:
    seen = set()
    for type_, value in chain(real_events(catalog), EXAMPLES.items()):
        validator(type_).validate(json.loads(value))
        headers, data = as_binary(value)
        validator(type_, EVENTS[type_].__name__).validate(json.loads(data))
        validator(type_, "headers").validate({name: (v or b"").decode() for name, v in headers})
        seen.add(type_)
    assert seen == set(EVENTS)


@pytest.mark.parametrize("type_", EVENTS)
def test_a_newer_minor_version_is_valid(type_: str) -> None:
    event = json.loads(EXAMPLES[type_])
    event.update(dataschema="https://shop.example/v1.3", traceparent="00-1")
    event["data"]["later"] = {"any": ["thing"]}
    validator(type_).validate(event)
    assert decodes(type_, event)


LONG = {"x" * 257: "v"}
BAD: list[tuple[str, Document]] = [
    (ITEM_UPSERT, {"specversion": "0.3"}),
    (ITEM_UPSERT, {"specversion": "1.0\n"}),
    (ITEM_UPSERT, {"type": "kae.item.upsert.v2"}),
    (ITEM_UPSERT, {"source": ""}),
    (ITEM_UPSERT, {"id": "x" * 257}),
    (ITEM_UPSERT, {"subject": None}),
    (ITEM_UPSERT, {"time": 1}),
    (ITEM_UPSERT, {"datacontenttype": "text/json"}),
    (ITEM_UPSERT, {"data": None}),
    (ITEM_UPSERT, {"data": {"title": "x"}}),
    (ITEM_UPSERT, {"data": {"revision": -1, "title": "x"}}),
    (ITEM_UPSERT, {"data": {"revision": 1 << 63, "title": "x"}}),
    (ITEM_UPSERT, {"data": {"revision": True, "title": "x"}}),
    (ITEM_UPSERT, {"data": {"revision": 1, "title": "x" * 100_001}}),
    (ITEM_UPSERT, {"data": {"revision": 1, "title": "x", "fields": {"f": None}}}),
    (ITEM_UPSERT, {"data": {"revision": 1, "title": "x", "fields": {"": "v"}}}),
    (ITEM_UPSERT, {"data": {"revision": 1, "title": "x", "fields": LONG}}),
    (ITEM_UPSERT, {"data": {"revision": 1, "title": "x", "fields": {"f": ["v"] * 65}}}),
    (ITEM_UPSERT, {"data": {"revision": 1, "title": "x", "popularity": 1e19}}),
    (ITEM_DELETE, {"data": {"revision": "1"}}),
    (ITEM_DELETE, {"data": {}}),
    (TERM_BIND, {"data": {"revision": 1}}),
    (TERM_BIND, {"data": {"revision": 1, "selector": {"items": [""]}}}),
    (TERM_BIND, {"data": {"revision": 1, "selector": {"where": "x" * 4097}}}),
    (TERM_BIND, {"data": {"revision": 1, "selector": {}, "aliases": ["x" * 129]}}),
    (TERM_BIND, {"data": {"revision": 1, "selector": {}, "category": "colour"}}),
    (TERM_BIND, {"data": {"revision": 1, "selector": {}, "reason": "x" * 513}}),
    (TERM_RELEASE, {"data": {"revision": 0.5}}),
    (BEHAVIOUR, {"data": {"query": "x"}}),
    (BEHAVIOUR, {"data": {"session": "s"}}),
    (BEHAVIOUR, {"data": {"query": "x", "session": ""}}),
    (BEHAVIOUR, {"data": {"query": "x" * 1025, "session": "s"}}),
    (BEHAVIOUR, {"data": {"query": "x", "session": "s" * 257}}),
    (BEHAVIOUR, {"data": {"query": "x", "session": "s", "user": "u" * 257}}),
    (BEHAVIOUR, {"data": {"query": "x", "session": "s", "time": 1}}),
    (BEHAVIOUR, {"data": {"query": "x", "session": "s", "shown": ["i"] * 1001}}),
    (BEHAVIOUR, {"data": {"query": "x", "session": "s", "clicked": [""]}}),
    (BEHAVIOUR, {"data": {"query": "x", "session": "s", "ordered": ["i" * 257]}}),
    (BEHAVIOUR, {"data": {"query": "x", "session": "s", "history": ["i"] * 101}}),
]


@pytest.mark.parametrize(("type_", "changes"), BAD)
def test_what_the_decoder_refuses_is_invalid(type_: str, changes: Document) -> None:
    event = {**json.loads(EXAMPLES[type_]), **changes}
    assert not decodes(type_, event)
    assert not validator(type_).is_valid(event)


@pytest.mark.parametrize("type_", EVENTS)
def test_every_required_attribute_is_required_by_both(type_: str) -> None:
    for name in committed(type_)["required"]:
        event = json.loads(EXAMPLES[type_])
        del event[name]
        assert not decodes(type_, event)
        assert not validator(type_).is_valid(event)


def paths(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, inside in value.items():
            yield from paths(inside, (*path, key))


# Texts that selectors, terms and `where` understand: what they mean is no matter of the schema.
TEXTS = ["", "x", "x" * 129, "x" * 257, "x" * 513, "x" * 2049, "entity", "1.0", *EVENTS]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 65), 1 << 65)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda f: not f.is_integer())
    | st.sampled_from(TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(TEXTS), inner),
    max_leaves=5,
)


@given(st.sampled_from(sorted(EVENTS)), st.data())
def test_decoder_and_schema_agree_on_events_with_one_thing_changed(
    type_: str, data: st.DataObject
) -> None:
    event = json.loads(EXAMPLES[type_])
    # Of a moment the schema says its format, which validators take for a remark.
    moments = {("data", "from"), ("data", "until"), ("data", "time")}
    meant = moments | {("type",), ("subject",), ("data", "selector", "where")}
    *parents, last = data.draw(st.sampled_from(sorted(set(paths(event)) - meant)))
    part = event
    for name in parents:
        part = part[name]
    part[last] = data.draw(VALUES)
    assert decodes(type_, event) == validator(type_).is_valid(event)
