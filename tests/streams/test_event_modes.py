"""Both content modes of CloudEvents, and versions older and newer than this one's."""

import json
from typing import Any

import pytest
from tests.streams.binary import as_binary

from kae.encoders.items import Item
from kae.sinks.store.plan import Change
from kae.streams.events.cloudevents import Headers
from kae.streams.events.envelope import Undecodable
from kae.streams.events.items import decode_item, encode_item_delete, encode_item_upsert
from kae.streams.events.term_data import BindData, ReleaseData, SelectorData
from kae.streams.events.terms import TermRules, decode_term, encode_term

ITEM = Item("é-1", "Tönér", "black", {"brand": "HP", "size": ["1", "2"]}, 3.5)
KEY = ITEM.id.encode()
UPSERT = encode_item_upsert(ITEM, 7, "/feed", "2026-01-01T00:00:00Z")
RULES = TermRules("entity", lambda category: category % 6, items_per_selector=3)
LIMIT = 262_144


def read(value: bytes, headers: Headers = ()) -> Change:
    return decode_item(KEY, value, LIMIT, headers)


def refused(value: bytes, headers: Headers = ()) -> str:
    with pytest.raises(Undecodable) as error:
        read(value, headers)
    return str(error.value)


def replaced(headers: Headers, name: str, value: bytes | None) -> Headers:
    """The headers with one of them said otherwise."""
    return [*((n, v) for n, v in headers if n != name), (name, value)]


@pytest.mark.parametrize("value", [UPSERT, encode_item_delete(ITEM.id, 8, "/feed")])
def test_an_item_event_is_the_same_change_in_both_modes(value: bytes) -> None:
    headers, data = as_binary(value)
    assert read(data, headers) == read(value)


@pytest.mark.parametrize(
    "value",
    [
        encode_term("Zorblax!", BindData(2, SelectorData(where='brand = "HP"')), "/ops"),
        encode_term("zorblax", ReleaseData(3), "/ops"),
    ],
)
def test_a_term_event_is_the_same_change_in_both_modes(value: bytes) -> None:
    headers, data = as_binary(value)
    structured = decode_term(None, value, LIMIT, 99, RULES)
    assert decode_term(None, data, LIMIT, 99, RULES, headers) == structured


def test_the_content_hash_is_of_the_data_alone() -> None:
    spaced = b'{"revision": 7 ,"title":"x"}'
    whole = b'{"specversion":"1.0","type":"kae.item.upsert.v1","source":"/a","id":"1",'
    value = whole + b'"subject":"\xc3\xa9-1","data": ' + spaced + b" }"
    headers = as_binary(UPSERT)[0]
    assert read(b" " + spaced + b"\n", headers).order == read(value).order
    assert read(spaced.replace(b" ", b""), headers).order != read(value).order


def test_the_content_type_tells_the_modes_apart_and_then_the_ce_headers() -> None:
    headers, data = as_binary(UPSERT)
    # A structured event may carry its context in headers as well.
    for media in (b"application/cloudevents+json", b"Application/CloudEvents+JSON; charset=UTF-8"):
        assert read(UPSERT, replaced(headers, "content-type", media)) == read(UPSERT)
    for others in ([("traceparent", b"00-1")], [("content-type", b"application/json")]):
        assert read(UPSERT, others) == read(UPSERT)
    without_type = [(name, value) for name, value in headers if name != "content-type"]
    assert read(data, without_type) == read(UPSERT)


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("ce_specversion", b"0.3", "ce_ headers: Invalid enum value '0.3' - at `$.specversion`"),
        ("ce_subject", b"", "ce_ headers: Expected `str` of length >= 1 - at `$.subject`"),
        ("ce_subject", None, "at `$.subject`"),
        ("ce_subject", b"other", "key: "),
        ("ce_id", b"x" * 257, "at `$.id`"),
        ("ce_source", b"\xff", r"header ce_source: b'\xff' is not UTF-8"),
        ("ce_type", b"kae.item.moved.v1", "type: 'kae.item.moved.v1' is no item event"),
        ("content-type", b"text/plain", "at `$.datacontenttype`"),
        ("content-type", b"application/cloudevents+avro", "send application/cloudevents+json"),
        ("content-type", b"application/cloudevents-batch+json", "or binary mode"),
    ],
)
def test_a_header_that_cannot_be_read_is_named(name: str, value: bytes | None, named: str) -> None:
    headers, data = as_binary(UPSERT)
    assert named in refused(data, replaced(headers, name, value))


def test_missing_attributes_and_broken_data_are_refused_in_binary_mode_too() -> None:
    headers, data = as_binary(UPSERT)
    without_id = [(name, value) for name, value in headers if name != "ce_id"]
    assert "missing required field `id`" in refused(data, without_id)
    assert "data: " in refused(b'{"revision":1}', headers)
    assert "data: " in refused(b"", headers)
    assert "data: " in refused(UPSERT, headers)


def event(value: bytes = UPSERT, **changes: Any) -> bytes:
    """An event with context attributes replaced or added; data is merged."""
    changed = json.loads(value)
    changed["data"].update(changes.pop("data", {}))
    return json.dumps({**changed, **changes}).encode()


def test_a_newer_minor_version_decodes_in_both_modes() -> None:
    newer = event(
        dataschema="https://shop.example/kae.item.upsert/v1.3",
        traceparent="00-1",
        data={"currency": "EUR", "stock": {"warehouse": [1, 2]}},
    )
    headers, data = as_binary(newer)
    change = read(newer)
    assert (change, change.order) == (read(data, headers), read(data, headers).order)
    assert change.item == ITEM  # type: ignore[union-attr]
    bind = encode_term("zorblax", BindData(2, SelectorData(match="x")), "/ops")
    newer_bind = event(bind, data={"weight": "2027-01-01", "selector": {"match": "x", "not": "y"}})
    assert decode_term(None, newer_bind, LIMIT, 9, RULES) == decode_term(
        None, bind, LIMIT, 9, RULES
    )


def test_another_major_version_is_refused_and_the_known_one_named() -> None:
    said = "type: 'kae.item.upsert.v2' has major version 2, this kae knows kae.item.upsert.v1; "
    newer = event(type="kae.item.upsert.v2")
    headers, data = as_binary(newer)
    assert refused(newer).startswith(said)
    assert refused(data, headers).startswith(said)
    with pytest.raises(Undecodable, match=r"this kae knows kae\.term\.release\.v1"):
        decode_term(None, event(type="kae.term.release.v12"), LIMIT, 9, RULES)


@pytest.mark.parametrize("type_", ["kae.item.moved.v1", "kae.item.upsert", "upsert.v2", "t.vx"])
def test_an_unknown_type_is_refused_and_the_known_ones_named(type_: str) -> None:
    assert refused(event(type=type_)) == (
        f"type: {type_!r} is no item event; known are kae.item.upsert.v1 and kae.item.delete.v1"
    )


def test_an_event_of_the_other_topic_is_refused() -> None:
    bind = encode_term(ITEM.id, BindData(2, SelectorData()), "/ops")
    assert "'kae.term.bind.v1' is no item event" in refused(bind)
    with pytest.raises(Undecodable, match=r"is no term event; known are kae\.term\.bind\.v1"):
        decode_term(KEY, UPSERT, LIMIT, 9, RULES)
