"""A percolator gives the same answer as trying every selector."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.encoders.sample import category

from kae.encoders.items import Attribute, AttributeSource
from kae.encoders.percolator import Percolator
from kae.encoders.selector import Selector, compile_selector

WORDS = ("black", "cyan", "hp", "canon", "toner")
NAMES = ("brand", "color", "entity")
IDS = ("1", "2", "3")

word = st.sampled_from(WORDS)
phrase = st.lists(word, max_size=2).map(" ".join)
equals = st.builds('{} = "{}"'.format, st.sampled_from(NAMES), word)
expressions = st.recursive(
    equals,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=4,
)
ids = st.lists(st.sampled_from(IDS), max_size=2, unique=True).map(tuple)
selectors = st.builds(
    lambda match, items, where, plus, minus: Selector(
        match, items, where, plus, tuple(set(minus) - set(plus))
    ),
    phrase,
    ids,
    st.one_of(st.just(""), expressions),
    ids,
    ids,
)
attributes = st.builds(
    lambda name, one: Attribute(category(name), one, one, AttributeSource.FIELD, 1.0),
    st.sampled_from(NAMES),
    word,
)
items = st.tuples(
    st.sampled_from(IDS), st.lists(word, max_size=4).map(" ".join), st.lists(attributes, max_size=3)
)


@settings(max_examples=300)
@given(st.lists(selectors, max_size=8), items)
def test_what_matches_is_what_each_selector_says(
    drawn: list[Selector], item: tuple[str, str, list[Attribute]]
) -> None:
    # Bindings are not in the order of their numbers where a store has attached them otherwise.
    bound = {100 - n: compile_selector(selector) for n, selector in enumerate(drawn)}
    asked_each = [binding for binding, selector in bound.items() if selector.matches(*item)]
    assert Percolator(bound).matching(*item) == asked_each


def test_a_selector_without_a_key_is_asked_of_every_item() -> None:
    bound = {1: compile_selector(Selector(where='brand != "hp"'))}
    assert Percolator(bound).matching("7", "", ()) == [1]
