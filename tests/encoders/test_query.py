from hypothesis import given
from hypothesis import strategies as st
from tests.encoders.sample import GROUPS, catalog, category

from kae.encoders.categories import Group, Slot
from kae.encoders.codebook.codebook import Codebook, CodebookWord
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Item
from kae.encoders.query import NAMED_SLOTS, BoundTerms, Query, QueryEncoder, WordClause

NOTHING = BoundTerms()
RESERVED = Slot(0, 60)


def heads(codebook: Codebook, clause: WordClause) -> dict[str, float]:
    words = {slot: codebook.word_at(slot.position, slot.index) for slot in clause.slots}
    return {head[1]: clause.slots[slot] for slot, head in words.items() if head}


def words_of(query: Query) -> list[str]:
    return [clause.word for clause in query.clauses]


def test_each_token_is_wanted_in_every_word_that_has_it(sample: Codebook) -> None:
    query = QueryEncoder(sample).encode("black USB", NOTHING)
    assert query.words == ["black", "usb"]
    black, usb = query.clauses
    assert heads(sample, black) == {"black": 1.0}
    assert heads(sample, usb) == {"usb": 1.0, "usb hub": 1.0}


def test_a_word_written_together_is_wanted_as_if_it_were_apart(sample: Codebook) -> None:
    encoder = QueryEncoder(sample)
    toner, cartridge = encoder.encode("tonercartridges", NOTHING).clauses
    assert toner.variants == (("toner",), ("tonercartridge",))
    assert cartridge.variants == (("cartridge",), ("tonercartridge",))
    assert heads(sample, toner) == heads(sample, cartridge) == {"toner cartridge": 1.0}


def test_a_measure_is_wanted_together_and_apart(sample: Codebook) -> None:
    encoder = QueryEncoder(sample)
    (together,) = encoder.encode("1.50M", NOTHING).clauses
    assert together.variants == (("1.5m",), ("1.5", "m"))
    assert heads(sample, together) == {"1.5m": 1.0}
    # The codebook need not know the measure.
    number, unit = encoder.encode("77 GB", NOTHING).clauses
    assert number.variants == (("77",), ("77gb",))
    assert unit.variants == (("gb",), ("77gb",))


def test_plurals_and_the_other_english_are_one_spelling(sample: Codebook) -> None:
    encoder = QueryEncoder(sample)
    one, other = (encoder.encode(text, NOTHING) for text in ("grey cables", "gray cable"))
    assert [(clause.variants, clause.slots) for clause in one.clauses] == [
        (clause.variants, clause.slots) for clause in other.clauses
    ]


def test_an_unknown_word_is_wanted_without_a_slot(sample: Codebook) -> None:
    encoder = QueryEncoder(sample)
    assert encoder.encode("zorblax", NOTHING) == Query(
        [WordClause("zorblax", (("zorblax",),), (), {})], [], ["zorblax"]
    )
    assert encoder.encode(" !! ", NOTHING) == Query([], [], [])


def test_what_is_bound_a_part_of_words_a_measure_or_grammar_is_not_unknown(
    sample: Codebook,
) -> None:
    encoder = QueryEncoder(sample)
    bound = BoundTerms([(1, "quiet core", Slot(0, 90))])
    text = "the quiet core cartridges 12 gb 7 zorblax for glowfish zorblax quiet"
    assert encoder.encode(text, bound).unknown == ["zorblax", "glowfish", "quiet"]


def test_an_unknown_word_may_be_meant_as_known_ones(sample: Codebook) -> None:
    encoder = QueryEncoder(sample)
    meant = {
        text: encoder.encode(text, NOTHING).clauses[0].corrections
        for text in ("cabel", "catridge", "runing", "cartr", "hdmicable", "ca", "zorblax")
    }
    assert meant == {
        "cabel": (("cable",),),
        "catridge": (("cartridge",),),
        "runing": (("running",),),
        "cartr": (("cartridge",),),
        "hdmicable": (),
        "ca": (),
        "zorblax": (),
    }
    assert heads(sample, encoder.encode("cabel", NOTHING).clauses[0])["cable"] == 1.0


def test_a_known_word_is_meant_as_it_is(sample: Codebook) -> None:
    assert all(
        not clause.corrections
        for clause in QueryEncoder(sample).encode("cable hub", NOTHING).clauses
    )


def test_words_of_grammar_are_left_out_unless_there_is_nothing_else(sample: Codebook) -> None:
    encoder = QueryEncoder(sample)
    assert words_of(encoder.encode("cable for the hub", NOTHING)) == ["cable", "hub"]
    assert words_of(encoder.encode("for the", NOTHING)) == ["for", "the"]


def test_a_phrase_without_spaces_is_wanted_sign_by_sign(sample: Codebook) -> None:
    query = QueryEncoder(sample).encode("鼠标", NOTHING)
    assert query.words == []
    assert [heads(sample, clause) for clause in query.clauses] == [{"无 线 鼠 标": 1.0}] * 2


def test_a_bound_term_is_one_want(sample: Codebook) -> None:
    terms = BoundTerms([(7, "zorblax", RESERVED)])
    query = QueryEncoder(sample).encode("Zorblax cable", terms)
    assert query.terms == [7]
    assert query.words == ["zorblax", "cable"]
    assert query.clauses[0] == WordClause("zorblax", (("zorblax",),), (), {RESERVED: 1.0}, (7,))


def test_the_longest_match_wins_and_then_the_bound_term(sample: Codebook) -> None:
    encoder = QueryEncoder(sample)
    shorter = BoundTerms([(7, "toner", RESERVED)])
    assert encoder.encode("toner cartridge", shorter).terms == []
    equal = encoder.encode("toner cartridge", BoundTerms([(8, "toner cartridge", RESERVED)]))
    assert equal.terms == [8]
    (clause,) = equal.clauses
    assert clause.slots[RESERVED] == 1.0
    assert heads(sample, clause) == {"toner cartridge": 0.5}
    longer = encoder.encode("usb cable black", BoundTerms([(9, "cable black", RESERVED)]))
    assert longer.words == ["cable black", "usb"]


def test_two_bindings_of_one_form_are_both_named(sample: Codebook) -> None:
    terms = BoundTerms([(9, "zorblax", Slot(2, 30)), (7, "zorblax", RESERVED)])
    query = QueryEncoder(sample).encode("zorblax", terms)
    assert query.terms == [7, 9]
    assert query.clauses[0].slots == {RESERVED: 1.0, Slot(2, 30): 1.0}


def test_a_word_said_twice_counts_once(sample: Codebook) -> None:
    encoder, terms = QueryEncoder(sample), BoundTerms([(7, "zorblax", RESERVED)])
    twice = encoder.encode("zorblax cable cables zorblax", terms)
    assert words_of(twice) == ["zorblax", "cable"]


def test_every_item_is_named_by_its_own_words(sample: Codebook) -> None:
    queries, encoder = QueryEncoder(sample), Encoder(sample)
    for item in catalog():
        query = queries.encode(item.title, NOTHING)
        slots = {slot for clause in query.clauses for slot in clause.slots}
        identifier = encoder.encode(Item(item.id, item.title)).identifier
        for position, index in enumerate(identifier):
            assert index == 0 or Slot(position, index) in slots


def test_named_slots_are_the_most_frequent_and_bounded() -> None:
    entity = category("entity")
    words = [
        CodebookWord(entity, f"{letter}{other} cable", index, 1000 - index, True)
        for index, (letter, other) in enumerate(
            ((a, b) for a in "bcdefghijk" for b in "bcdefghijk"), start=1
        )
    ]
    wide = (Group("core", GROUPS[0].categories, 256, 8), *GROUPS[1:])
    (clause,) = QueryEncoder(Codebook(wide, {}, words)).encode("cable", NOTHING).clauses
    assert set(clause.slots) == {Slot(0, index) for index in range(1, NAMED_SLOTS + 1)}


def test_of_a_slot_with_several_words_the_share_that_has_the_token_counts() -> None:
    entity = category("entity")
    words = [
        CodebookWord(entity, "sofa", 1, 30, True),
        CodebookWord(entity, "couch table", 1, 10, True),
    ]
    encoder = QueryEncoder(Codebook(GROUPS, {}, words))
    (clause,) = encoder.encode("table", NOTHING).clauses
    assert clause.slots == {Slot(0, 1): 0.25}
    (whole,) = encoder.encode("sofa", NOTHING).clauses
    assert whole.slots == {Slot(0, 1): 1.0}


@given(st.text(max_size=2000))
def test_any_query_is_encoded(sample: Codebook, text: str) -> None:
    query = QueryEncoder(sample).encode(text, NOTHING)
    assert query == QueryEncoder(sample).encode(text, NOTHING)
    assert all(0 < share <= 1 for clause in query.clauses for share in clause.slots.values())
    assert all(way for clause in query.clauses for way in (*clause.variants, *clause.corrections))
