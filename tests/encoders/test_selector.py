import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.encoders.sample import category

from kae.encoders.categories import CATEGORIES
from kae.encoders.items import Attribute, AttributeSource
from kae.encoders.selector import (
    EXPRESSION_CHARACTERS,
    Selector,
    SelectorInvalid,
    compile_selector,
    parse_where,
)
from kae.encoders.text.search_form import NEWEST_FORM


def attribute(name: str, word: str) -> Attribute:
    return Attribute(category(name), word, word, AttributeSource.FIELD, 1.0)


ATTRIBUTES = (attribute("brand", "hp"), attribute("color", "black"), attribute("color", "cyan"))
TEXT = "hp toner cartridge black"


def selects(**parts: object) -> bool:
    selector = Selector(**parts)  # type: ignore[arg-type]
    return compile_selector(selector).matches("7", TEXT, ATTRIBUTES)


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ('brand = "HP"', True),
        ('BRAND="hp"', True),
        ('brand != "HP"', False),
        ('color = "black" and color = "cyan"', True),
        ('color = "red" or not brand = "canon"', True),
        ('brand = "canon" or brand = "hp" and color = "red"', False),
        ('(brand = "canon" or brand = "hp") and not (color = "red")', True),
        ('entity = "toner"', False),
    ],
)
def test_an_expression_says_what_an_item_must_have(where: str, holds: bool) -> None:
    assert selects(where=where) is holds


def test_every_part_that_is_set_must_hold() -> None:
    assert selects(match="Toner-Cartridge", items=("7", "8"), where='brand = "hp"')
    assert not selects(match="toner", items=("8",))
    assert not selects(match="tone", items=("7",))
    assert not selects()


def test_an_expression_compares_measures_in_one_spelling() -> None:
    compiled = compile_selector(Selector(where='specification = "16.0 GB"'))
    assert compiled.matches("1", "", [attribute("specification", "16gb")])


def test_a_quoted_word_may_contain_a_quote() -> None:
    compiled = compile_selector(Selector(where=r'specification = "19\" rack"'))
    assert compiled.matches("1", "", [attribute("specification", "19 inch rack")])


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("brand", "the end at character 6; expected one of '=', '!='"),
        ("brand = HP", "'HP' at character 9; expected one of a word in double quotes"),
        ('brnd = "x"', "'brnd' at character 1 is no category; write one of entity, modifier"),
        ('brand = "x" and', "the end at character 16; expected one of a category"),
        ('(brand = "x"', "expected one of ')'"),
        ('brand = "!"', "has no letter or digit"),
        ('brand & "x"', "'&' at character 7"),
        ('brand = "x" color = "y"', "'color' at character 13"),
        ("not " * 40 + 'brand = "x"', "nested more than 32 deep"),
        ("x" * (EXPRESSION_CHARACTERS + 1), "write at most 4096"),
        ("(" * EXPRESSION_CHARACTERS, "the end at character 4097"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_place(where: str, says: str) -> None:
    with pytest.raises(SelectorInvalid) as refused:
        compile_selector(Selector(where=where))
    assert says in str(refused.value)


@pytest.mark.parametrize("where", ["brand", 'brnd = "x"', "brand @ 3"])
def test_a_refusal_lists_the_categories(where: str) -> None:
    with pytest.raises(SelectorInvalid, match=", ".join(CATEGORIES)):
        parse_where(where)


def test_a_phrase_without_letters_is_refused() -> None:
    with pytest.raises(SelectorInvalid, match="no letter or digit"):
        compile_selector(Selector(match="!!"))


@given(st.text(max_size=200))
def test_any_expression_parses_or_is_refused(where: str) -> None:
    try:
        compiled = compile_selector(Selector(where=where))
    except SelectorInvalid:
        return
    assert compiled.where is not None or not where.strip()


@given(
    st.permutations([*ATTRIBUTES, attribute("entity", "toner"), attribute("scene", "home")]),
    st.sampled_from(["toner cartridge", "HP", "red", ""]),
    st.sampled_from(['brand = "hp"', 'not color = "black"', 'scene != "home"', ""]),
)
def test_the_order_and_number_of_attributes_do_not_matter(
    attributes: list[Attribute], match: str, where: str
) -> None:
    compiled = compile_selector(Selector(match=match, where=where))
    expected = compiled.matches("1", TEXT, sorted(attributes, key=lambda found: found.word))
    assert compiled.matches("1", TEXT, attributes * 2) is expected


@given(st.text(), st.text(st.characters(exclude_categories=["N", "Cs"]), min_size=1))
def test_a_title_is_matched_by_every_phrase_of_it(before: str, phrase: str) -> None:
    """But for numbers, which what is beside them may join: "1" and "¼" are 1.25."""
    if not NEWEST_FORM.normalise(phrase):
        return
    text = NEWEST_FORM.normalise(f"{before} | {phrase}")
    assert compile_selector(Selector(match=phrase)).matches("1", text, ())


def test_single_items_are_selected_or_not_whatever_the_other_parts_say() -> None:
    assert selects(match="nowhere", plus=("7",))
    assert selects(pins=("7",))
    assert not selects(match="toner", minus=("7",))
    assert not selects(plus=("8",), pins=("9",))
    with pytest.raises(SelectorInvalid, match="items: '7' is both wanted"):
        selects(plus=("7",), minus=("7",))


def test_the_newest_word_about_an_item_counts() -> None:
    first = Selector("toner").adjusted(["a", "b"], ["c"], ("p", "b"))
    assert first == Selector("toner", (), "", ("a", "b"), ("c",), ("p", "b"))
    assert first.adjusted((), ["b"], None) == Selector("toner", (), "", ("a",), ("b", "c"), ("p",))
    assert first.adjusted(["c"], (), None).minus == ()
    assert first.adjusted((), (), ("c",)) == Selector("toner", (), "", ("a", "b"), (), ("c",))
    assert first.adjusted((), (), ()).pins == ()


IDS = st.sampled_from("abcdef")
ADJUSTMENTS = st.tuples(
    st.sets(IDS), st.sets(IDS), st.one_of(st.none(), st.lists(IDS, unique=True).map(tuple))
).filter(lambda given: not (given[0] | {*(given[2] or ())}) & given[1])


@settings(deadline=None)
@given(st.lists(ADJUSTMENTS, max_size=6))
def test_no_adjustment_makes_a_selector_that_contradicts_itself(
    adjustments: list[tuple[set[str], set[str], tuple[str, ...] | None]],
) -> None:
    selector = Selector("toner")
    for add, exclude, pins in adjustments:
        selector = selector.adjusted(add, exclude, pins)
        compiled = compile_selector(selector)
        for item in "abcdef":
            found = compiled.matches(item, TEXT, ())
            if item in add or item in (pins or ()):
                assert found
            if item in exclude:
                assert not found
