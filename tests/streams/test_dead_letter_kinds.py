"""Kinds of cause: stable codes that name the place and what is wrong there."""

import pytest

from kae.encoders.items import Item
from kae.streams.events import causes
from kae.streams.events.envelope import Undecodable
from kae.streams.events.items import decode_item, encode_item_upsert
from kae.streams.events.term_data import BindData, SelectorData
from kae.streams.events.terms import TermRules, decode_term, encode_term

RULES = TermRules("entity", lambda category: category % 6, items_per_selector=3)
GOOD = encode_item_upsert(Item("a", "Toner", fields={"brand": "hp"}), 1, "/tests")


def replaced(old: bytes, new: bytes) -> bytes:
    assert old in GOOD
    return GOOD.replace(old, new)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (replaced(b'"hp"', b"[1]"), "data.fields.type"),
        (replaced(b'"brand"', b'""'), "data.fields.length"),
        (replaced(b'"brand":"hp"', b'"brand":[' + b'"x",' * 64 + b'"x"]'), "data.fields.length"),
        (replaced(b'"revision":1', b'"revision":1.5'), "data.revision.type"),
        (replaced(b'"subject":"a"', b'"subject":""'), "subject.length"),
        (replaced(b'"type":"kae.item.upsert.v1"', b'"type":"kae.term.bind.v1"'), "type.unknown"),
        (replaced(b'"id":"a:1"', b'"id":"\xff"'), "event.utf8"),
        (b"3", "event.type"),
        (GOOD + b"x", "event.malformed"),
    ],
)
def test_an_item_event_has_the_kind_of_what_is_wrong_first(value: bytes, kind: str) -> None:
    with pytest.raises(Undecodable) as refused:
        decode_item(b"a", value, 100_000)
    assert refused.value.kind == kind


@pytest.mark.parametrize(
    ("word", "data", "kind"),
    [
        ("x", BindData(1, SelectorData(match="x"), category="colour"), "data.category.unknown"),
        ("x", BindData(1, SelectorData(where="brand ~ x")), "data.selector.invalid"),
        ("x", BindData(1, SelectorData(items=list("abcd"))), "data.selector.items.length"),
        ("x", BindData(1, SelectorData(match="x" * 1025)), "data.selector.match.length"),
        ("...", BindData(1, SelectorData(match="x")), "subject.empty"),
    ],
)
def test_a_term_event_has_one_too(word: str, data: BindData, kind: str) -> None:
    with pytest.raises(Undecodable) as refused:
        decode_term(word.encode(), encode_term(word, data, "/ops"), 1 << 20, 0, RULES)
    assert refused.value.kind == kind


def test_a_kind_lies_under_its_first_parts() -> None:
    assert causes.within("data.title.type", "data")
    assert causes.within("data.title.type", "data.title.type")
    assert not causes.within("data.title.type", "data.tit")
