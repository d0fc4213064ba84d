"""Events as bytes: what decodes, and what is refused with which cause."""

import json
from typing import Any

import pytest

from kae.encoders.items import Item
from kae.sinks.log.term_changes import Adjust, Bind, Release, TermChange
from kae.sinks.store.plan import Delete, Upsert
from kae.streams.events.envelope import Undecodable
from kae.streams.events.items import (
    as_decoded,
    decode_item,
    encode_item_delete,
    encode_item_upsert,
)
from kae.streams.events.term_data import AdjustData, BindData, ReleaseData, SelectorData
from kae.streams.events.terms import (
    TermRules,
    decode_term,
    encode_term,
)

ITEM = Item("é-1", "Tönér", "black", {"brand": "HP", "size": ["1", "2"]}, 3.5)
RULES = TermRules("entity", lambda category: category % 6, items_per_selector=3)
LIMIT = 262_144


def upsert(**changes: Any) -> bytes:
    """An upsert of ITEM with context attributes, or entries of its data, replaced."""
    event = json.loads(encode_item_upsert(ITEM, 1, "/feed"))
    for name, value in changes.items():
        (event["data"] if name in ("revision", "title", "fields") else event)[name] = value
    return json.dumps(event).encode()


def cause(value: bytes | None, key: bytes | None = "é-1".encode()) -> str:
    with pytest.raises(Undecodable) as refused:
        decode_item(key, value, LIMIT)
    return str(refused.value)


def test_item_events_come_back_as_they_were() -> None:
    change = decode_item("é-1".encode(), encode_item_upsert(ITEM, 7, "/feed"), LIMIT)
    assert isinstance(change, Upsert)
    assert (change.item, change.revision) == (ITEM, 7)
    gone = decode_item("é-1".encode(), encode_item_delete("é-1", 8, "/feed"), LIMIT)
    assert isinstance(gone, Delete)
    assert (gone.id, gone.revision) == ("é-1", 8)


@pytest.mark.parametrize("length", [1, 242, 243, 250, 256])
@pytest.mark.parametrize("sign", ["x", "é", "商"])
def test_an_id_may_have_up_to_256_characters(length: int, sign: str) -> None:
    item = Item(sign * length, "a title", "", {})
    value = encode_item_upsert(item, 1_700_000_000_000, "/kae")
    change = decode_item(item.id.encode(), value, LIMIT)
    assert isinstance(change, Upsert)
    assert change.item == item
    assert as_decoded(item, 1_700_000_000_000, "/kae", LIMIT) == change


def test_events_of_long_ids_differ() -> None:
    values = {
        json.loads(encode_item_upsert(Item("x" * 255 + sign, "t", "", {}), revision, "/kae"))["id"]
        for sign in "ab"
        for revision in (1_700_000_000_000, 1_700_000_000_001)
    }
    assert len(values) == 4


def test_the_order_of_equal_revisions_depends_on_the_data_alone() -> None:
    first = decode_item("é-1".encode(), upsert(id="x", time="2026-01-01T00:00:00Z"), LIMIT)
    again = decode_item("é-1".encode(), upsert(id="y", source="/other"), LIMIT)
    assert first.order == again.order


def test_other_context_attributes_are_allowed() -> None:
    decode_item("é-1".encode(), upsert(traceparent="00-1", dataschema="x"), LIMIT)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"type": "kae.item.moved.v1"}, "type: 'kae.item.moved.v1' is no item event"),
        ({"subject": "other"}, "key: "),
        ({"subject": ""}, "subject"),
        ({"revision": -1}, "revision"),
        ({"revision": 1 << 63}, "revision"),
        ({"revision": "1"}, "revision"),
        ({"title": "x" * 100_001}, "title"),
        ({"title": None}, "title"),
        ({"fields": {str(n): "v" for n in range(513)}}, "fields"),
        ({"fields": {"f": "v" * 20_001}}, "fields"),
        ({"fields": {"f": 3}}, "fields"),
        ({"data": []}, "data"),
        ({"datacontenttype": "text/plain"}, "datacontenttype"),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_its_field(changes: dict[str, Any], named: str) -> None:
    assert named in cause(upsert(**changes))


def test_what_is_no_event_is_refused() -> None:
    assert "tombstone carries no revision" in cause(None)
    assert "truncated" in cause(b'{"specversion":')
    assert "malformed" in cause(b"\xff\xfe")
    assert "limits.event_bytes allows 262144" in cause(b" " * 262_145)
    assert "key: missing" in cause(upsert(), key=None)
    assert "recursion" in cause(b'{"data":' + b"[" * 100_000).lower()


def term(word: str, value: bytes) -> TermChange:
    return decode_term(word.encode(), value, LIMIT, 99, RULES)


def test_term_events_come_back_normalised() -> None:
    data = BindData(2, SelectorData(where='brand = "HP"'), aliases=["Zor-Blax", "zorblax"])
    bound = term("Zorblax!", encode_term("Zorblax!", data, "/ops"))
    assert isinstance(bound, Bind)
    assert (bound.term, bound.aliases, bound.revision) == ("zorblax", ("zor blax",), 2)
    assert (bound.category, bound.position, bound.accepted_ms) == (0, 0, 99)
    released = term("zorblax", encode_term("zorblax", ReleaseData(3), "/ops"))
    assert released == Release("zorblax", 3)


def test_a_term_may_have_up_to_256_characters() -> None:
    word = "x" * 256
    value = encode_term(word, ReleaseData(1_700_000_000_000), "/ops")
    assert term(word, value) == Release(word, 1_700_000_000_000)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (BindData(1, SelectorData(match="x"), category="colour"), "data.category: 'colour'"),
        (BindData(1, SelectorData(where="brand ~ x")), "data.selector: where: '~'"),
        (BindData(1, SelectorData(items=list("abcd"))), "terms.items_per_selector allows 3"),
        (BindData(1, SelectorData("x", plus=list("abcd"))), "terms.items_per_selector allows 3"),
        (BindData(1, SelectorData("x", minus=["a"], pins=["a"])), "items: 'a' is both wanted"),
    ],
)
def test_a_term_that_cannot_be_understood_is_refused(data: BindData, named: str) -> None:
    with pytest.raises(Undecodable) as refused:
        term("zorblax", encode_term("zorblax", data, "/ops"))
    assert named in str(refused.value)


def test_single_items_of_a_term_come_back_each_once_and_pins_in_their_order() -> None:
    data = AdjustData(4, ["a"], ["b"], ["z", "c", "z"], "ann")
    expected = Adjust("zorblax", 4, ("a",), ("b",), ("z", "c"), 99, "ann")
    assert term("zorblax", encode_term("zorblax", data, "/ops")) == expected
    kept = term("zorblax", encode_term("zorblax", AdjustData(4, ["a"]), "/ops"))
    assert isinstance(kept, Adjust)
    assert kept.pins is None


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (AdjustData(1), "none of add, exclude and pins"),
        (AdjustData(1, ["a"], ["a"]), "data.exclude: 'a' is also added or pinned"),
        (AdjustData(1, exclude=["a"], pins=["a"]), "data.exclude: 'a' is also added or pinned"),
    ],
)
def test_single_items_that_contradict_are_refused(data: AdjustData, named: str) -> None:
    with pytest.raises(Undecodable) as refused:
        term("zorblax", encode_term("zorblax", data, "/ops"))
    assert named in str(refused.value)
