"""Partial labels that a catalog's fields give its titles, for a tagger to train on."""

from collections.abc import Mapping

from tests.icecat import FIELDS as ICECAT_FIELDS
from tests.icecat import catalog_items

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.items import Item
from kae.encoders.tagger.hints import HintedTitle, HintSpan, hinted_titles
from kae.encoders.tagger.labelled import read_kinds
from kae.encoders.text.measures import canonical
from kae.encoders.text.normal_form import normalise
from kae.encoders.text.values import words_of

FIELDS = {
    "maker": "brand",
    "hue": "color",
    "made_of": "material",
    "kind": "entity",
    "when": "season",
}
LEARNED = frozenset(kind.category for kind in read_kinds())


def hinted(title: str, **fields: str | list[str]) -> list[HintedTitle]:
    return hinted_titles([Item("1", title, fields=fields)], FIELDS, LEARNED, 10)


def test_a_field_marks_its_value_where_the_title_says_it() -> None:
    title = "ACME Tea-Pot, dark Red & white"
    (found,) = hinted(title, maker="Acme", hue=["Dark red", "white"], kind="tea pot", weight="red")
    assert [(title[one.begin : one.end], one.category) for one in found.spans] == [
        ("ACME", "brand"),
        ("Tea-Pot", "entity"),
        ("dark Red", "color"),
        ("white", "color"),
    ]


def test_a_title_that_says_nothing_of_its_fields_teaches_nothing() -> None:
    assert hinted("Tea Pot", maker="Acme", hue="Red") == []
    assert hinted("Summer", when="Summer") == []  # no kind of the labelled titles is a season


def test_the_longer_value_keeps_its_words_and_what_two_categories_claim_is_unknown() -> None:
    (found,) = hinted("Red Bull Can", maker="Red Bull", hue="Red", made_of="can", kind="can")
    assert found.spans == (HintSpan(0, 8, "brand"),)


def test_of_too_many_titles_the_same_are_chosen_in_any_order() -> None:
    items = [Item(str(n), f"Acme Pot {n % 40}", fields={"maker": "Acme"}) for n in range(80)]
    chosen = hinted_titles(items, FIELDS, LEARNED, 15)
    assert len({one.text for one in chosen}) == 15
    assert chosen == hinted_titles(items[::-1], FIELDS, LEARNED, 15)


def test_a_real_catalog_marks_what_its_fields_say() -> None:
    items = catalog_items(500)
    found = hinted_titles(items, ICECAT_FIELDS, LEARNED, 500)
    said = {item.title: _said(item, ICECAT_FIELDS) for item in items}
    assert len(found) > 400
    for one in found:
        assert {
            (span.category, canonical(normalise(one.text[span.begin : span.end])))
            for span in one.spans
        } <= said[one.text]


def _said(item: Item, fields: Mapping[str, str]) -> set[tuple[str, str]]:
    return {
        (fields[name], word)
        for name, values in item.fields.items()
        if name in fields
        for value in ([values] if isinstance(values, str) else values)
        for word, _ in words_of(value, CATEGORY_INDEX[fields[name]])
    }
