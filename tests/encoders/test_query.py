from hypothesis import given
from hypothesis import strategies as st
from tests.encoders.sample import GROUPS, catalog, category

from kae.encoders.assign import Encoder
from kae.encoders.attributes import Item
from kae.encoders.categories import Group, Slot
from kae.encoders.codebook import Codebook, Word
from kae.encoders.query import EXPANSIONS, BoundTerms, Query, QueryEncoder

NOTHING = BoundTerms()
RESERVED = Slot(0, 60)


def weights(codebook: Codebook, query: Query) -> dict[str, float]:
    heads = {slot: codebook.word_at(slot.position, slot.index) for slot in query.slots}
    return {head[1]: query.slots[slot] for slot, head in heads.items() if head}


def test_a_word_weighs_one_and_longer_words_less(sample: Codebook) -> None:
    query = QueryEncoder(sample).encode("black USB", NOTHING)
    assert query.words == ["black", "usb"]
    assert weights(sample, query) == {"black": 1.0, "usb": 1.0, "usb hub": 0.25}


def test_a_spelling_that_the_catalog_lacks_is_found(sample: Codebook) -> None:
    query = QueryEncoder(sample).encode("tonercartridges 1.50M", NOTHING)
    assert weights(sample, query) == {"toner cartridge": 1.0, "1.5m": 1.0}


def test_an_unknown_word_gives_nothing(sample: Codebook) -> None:
    assert QueryEncoder(sample).encode("zorblax", NOTHING) == Query({}, [], [])
    assert QueryEncoder(sample).encode(" !! ", NOTHING) == Query({}, [], [])


def test_a_part_of_a_phrase_leads_to_it(sample: Codebook) -> None:
    query = QueryEncoder(sample).encode("鼠标", NOTHING)
    assert query.words == []
    assert weights(sample, query) == {"无 线 鼠 标": 0.125}


def test_a_bound_term_is_a_word(sample: Codebook) -> None:
    terms = BoundTerms([(7, "zorblax", RESERVED)])
    query = QueryEncoder(sample).encode("Zorblax cable", terms)
    assert query.terms == [7]
    assert query.words == ["zorblax", "cable"]
    assert query.slots[RESERVED] == 1.0
    assert weights(sample, query) == {"cable": 1.0}


def test_the_longest_match_wins_and_then_the_bound_term(sample: Codebook) -> None:
    encoder = QueryEncoder(sample)
    shorter = BoundTerms([(7, "toner", RESERVED)])
    assert encoder.encode("toner cartridge", shorter).terms == []
    equal = encoder.encode("toner cartridge", BoundTerms([(8, "toner cartridge", RESERVED)]))
    assert equal.terms == [8]
    assert equal.slots[RESERVED] == 1.0
    assert weights(sample, equal) == {"toner cartridge": 0.5}
    longer = encoder.encode("usb cable black", BoundTerms([(9, "cable black", RESERVED)]))
    assert longer.words == ["cable black", "usb"]


def test_two_bindings_of_one_form_are_both_named(sample: Codebook) -> None:
    terms = BoundTerms([(9, "zorblax", Slot(2, 30)), (7, "zorblax", RESERVED)])
    query = QueryEncoder(sample).encode("zorblax", terms)
    assert query.terms == [7, 9]
    assert query.slots == {RESERVED: 1.0, Slot(2, 30): 1.0}


def test_a_word_said_twice_counts_once(sample: Codebook) -> None:
    encoder, terms = QueryEncoder(sample), BoundTerms([(7, "zorblax", RESERVED)])
    twice = encoder.encode("zorblax cable cable zorblax", terms)
    assert twice == encoder.encode("zorblax cable", terms)


def test_every_item_is_named_by_its_own_words(sample: Codebook) -> None:
    queries, encoder = QueryEncoder(sample), Encoder(sample)
    for item in catalog():
        slots = queries.encode(item.title, NOTHING).slots
        identifier = encoder.encode(Item(item.id, item.title)).identifier
        for position, index in enumerate(identifier):
            assert index == 0 or Slot(position, index) in slots


def test_expansions_are_the_most_frequent_and_bounded() -> None:
    entity = category("entity")
    words = [
        Word(entity, f"{letter}{other} cable", index, 1000 - index, True)
        for index, (letter, other) in enumerate(
            ((a, b) for a in "bcdefghijk" for b in "bcdefghijk"), start=1
        )
    ]
    wide = (Group("core", GROUPS[0].categories, 256, 8), *GROUPS[1:])
    query = QueryEncoder(Codebook(wide, {}, words)).encode("cable", NOTHING)
    assert set(query.slots) == {Slot(0, index) for index in range(1, EXPANSIONS + 1)}
    assert set(query.slots.values()) == {0.25}


@given(st.text(max_size=2000))
def test_any_query_is_encoded(sample: Codebook, text: str) -> None:
    query = QueryEncoder(sample).encode(text, NOTHING)
    assert query == QueryEncoder(sample).encode(text, NOTHING)
    assert all(0 < weight <= 1 for weight in query.slots.values())
