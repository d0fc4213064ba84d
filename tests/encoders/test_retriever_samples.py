"""Samples of a retriever: what each stage is asked, by a few words and one purchase."""

from collections import Counter
from dataclasses import replace

import pytest
from tests.encoders.sample import FIELDS, GROUPS, catalog

from kae.encoders.categories import CATEGORY_INDEX, POSITIONS, Slot
from kae.encoders.codebook.codebook import Codebook, CodebookWord
from kae.encoders.query import BoundTerms
from kae.encoders.retriever.fusion import fuse_rankings
from kae.encoders.retriever.query_identifier import QueryIdentifiers
from kae.encoders.retriever.samples import (
    ASKED_EACH,
    ASKED_WORDS,
    NO_SLOTS,
    Behaviour,
    Sample,
    SampledItem,
    Slots,
    behaviour_samples,
    item_samples,
    made_up_queries,
    routing_samples,
    word_samples,
)

TONER = SampledItem("1", "Acme Toner, black", (1, 2, 3, 0, 0, 0), "toner")
CABLE = SampledItem("2", "Bolt Cable", (4, 5, 0, 0, 0, 0), "cable")
QUERY = (1, 0, 0, 0, 0, 0)


def equal(_word: str) -> float:
    return 1.0


def word(category: str, text: str, index: int) -> CodebookWord:
    return CodebookWord(CATEGORY_INDEX[category], text, index, 3, scanned=True)


@pytest.fixture(scope="module")
def codebook() -> Codebook:
    words = (
        word("entity", "toner cartridge", 1),
        word("entity", "cable", 2),
        word("model", "x9", 0),
        word("brand", "acme", 1),
        word("color", "black", 1),
        word("color", "gray", 2),
    )
    return Codebook(GROUPS, FIELDS, words, catalog_items=len(catalog()))


def test_a_word_is_learned_with_its_category_both_ways_and_one_without_a_slot_is_not(
    codebook: Codebook,
) -> None:
    found = [*word_samples(codebook)]
    assert len(found) == 2 * 5
    gray = (-1, -1, 2, -1, -1, -1)
    assert Sample("word_to_slot", text="color gray", target_slots=gray) in found
    assert Sample("slot_to_word", slots=gray, target_text="color gray") in found
    assert not [one for one in found if "x9" in one.text + one.target_text]


def test_an_item_gives_its_title_identifier_kind_and_queries_of_its_words() -> None:
    asked: list[str] = []

    def identify(text: str) -> Slots:
        asked.append(text)
        return QUERY

    found = [*item_samples(TONER, identify, equal)]
    assert found[:3] == [
        Sample("title_to_identifier", text="acme toner black", target_slots=(1, 2, 3, 0, 0, 0)),
        Sample("identifier_to_title", slots=(1, 2, 3, 0, 0, 0), target_text="acme toner black"),
        Sample("title_to_type", text="acme toner black", target_text="toner"),
    ]
    assert found[3:] == [
        Sample("words_to_identifier", text, QUERY, target_slots=(1, 2, 3, 0, 0, 0))
        for text in asked
    ]
    assert asked == [*made_up_queries("1", "Acme Toner, black", equal)]
    assert [one.task for one in item_samples(SampledItem("3", "Desk", QUERY), identify, equal)] == [
        "title_to_identifier",
        "identifier_to_title",
        *["words_to_identifier"] * ASKED_EACH,
    ]
    assert [*item_samples(SampledItem("4", "?!", QUERY, "desk"), identify, equal)] == []


def test_made_up_queries_have_some_words_of_a_title_in_its_order_and_are_always_the_same() -> None:
    title = "Acme Quiet Toner, black, for printers of 1998"
    words = ["acme", "quiet", "toner", "black", "for", "printers", "of", "1998"]
    made = [query for item in range(40) for query in made_up_queries(str(item), title, equal)]
    assert made == [
        query for item in range(40) for query in made_up_queries(str(item), title, equal)
    ]
    assert {len(query.split()) for query in made} == set(range(1, ASKED_WORDS + 1))
    for query in made:
        places = [words.index(word) for word in query.split()]
        assert places == sorted(set(places))
    assert [*made_up_queries("1", "?!", equal)] == []


def test_what_people_say_more_often_is_in_more_of_the_made_up_queries() -> None:
    weights = {"acme": 0.01, "quiet": 0.1, "toner": 1.0}
    made = [
        query.split()
        for item in range(300)
        for query in made_up_queries(str(item), "Acme quiet toner", weights.__getitem__)
    ]
    alone = Counter(query[0] for query in made if len(query) == 1)
    # One word is drawn in proportion to the weights: 1, 10 and 100 of 111.
    assert alone["toner"] / alone.total() == pytest.approx(100 / 111, abs=0.05)
    assert alone["quiet"] > alone["acme"]


def test_words_weigh_what_behaviour_says_of_them_and_nothing_without(codebook: Codebook) -> None:
    assert {QueryIdentifiers(codebook).weight_of(word) for word in ("toner", "zorblax")} == {1.0}
    importance = {"toner cartridge": 800, "cable": 100, "gray": 0}
    ranked = Codebook(
        GROUPS,
        FIELDS,
        [replace(word, importance=importance.get(word.word, 300)) for word in codebook.words],
    )
    weight_of = QueryIdentifiers(ranked).weight_of
    assert [weight_of(word) for word in ("cartridge", "cable", "gray", "zorblax")] == [
        0.8,
        0.1,
        0.001,
        0.3,
    ]


def test_a_purchase_teaches_the_query_its_item_after_what_was_chosen_before() -> None:
    row = Behaviour("Toner!", shown=("1", "2"), ordered=("1",), history=("2", "gone"))
    found = [*behaviour_samples(row, {"1": TONER, "2": CABLE}, lambda _: QUERY)]
    assert found == [
        Sample("query_to_identifier", text="toner", target_slots=QUERY),
        Sample("identifier_to_query", slots=QUERY, target_text="toner"),
        Sample("query_to_type", text="toner", target_text="toner"),
        Sample("query_to_title", text="toner", target_text="acme toner black"),
        Sample("title_to_query", text="acme toner black", target_text="toner"),
        Sample("identifier_to_identifier", slots=QUERY, target_slots=TONER.identifier),
        Sample(
            "retrieve",
            text="toner",
            slots=QUERY,
            history=(CABLE.identifier,),
            target_slots=TONER.identifier,
        ),
    ]


def test_what_was_shown_but_not_chosen_and_what_is_not_there_teach_nothing() -> None:
    found = {"1": TONER}
    assert [*behaviour_samples(Behaviour("toner", shown=("1",)), found, lambda _: QUERY)] == []
    assert [*behaviour_samples(Behaviour("toner", ("2",), ("2",)), found, lambda _: QUERY)] == []


def test_identifiers_of_no_dictionary_leave_out_what_needs_a_query_identifier() -> None:
    row = Behaviour("toner", clicked=("1",))
    found = [*behaviour_samples(row, {"1": TONER}, lambda _: NO_SLOTS)]
    assert [one.task for one in found] == [
        "query_to_type",
        "query_to_title",
        "title_to_query",
        "retrieve",
    ]
    assert found[-1].slots == NO_SLOTS


def test_an_item_that_is_both_clicked_and_ordered_counts_twice() -> None:
    row = Behaviour("toner", clicked=("1", "2"), ordered=("1",))
    found = behaviour_samples(row, {"1": TONER, "2": CABLE}, lambda _: QUERY)
    targets = Counter(one.target_slots for one in found if one.task == "retrieve")
    assert targets == {TONER.identifier: 2, CABLE.identifier: 1}


def test_a_query_that_names_a_bound_term_is_taught_the_path_of_its_item() -> None:
    asked = (0, 31, 0, 0, 0, 0)
    bound = SampledItem("1", "Acme Toner", (1, 2, 3, 0, 0, 0), bound=((1, 31), (2, 30)))
    row = Behaviour("quietcore", clicked=("1",))
    found = [*behaviour_samples(row, {"1": bound}, lambda _: asked)]
    assert found[-1].target_slots == (1, 31, 3, 0, 0, 0)
    assert bound.path_for((0, 7, 0, 0, 0, 0)) == (1, 2, 3, 0, 0, 0)


def test_self_routing_leads_through_each_reserved_slot_as_often_as_asked() -> None:
    reserved = [range(62, 64), *([range(0)] * 5)]
    found = [
        *routing_samples(
            reserved, [TONER.identifier, CABLE.identifier], each=4, form="path", seed=1
        )
    ]
    assert Counter(one.slots[0] for one in found) == {62: 4, 63: 4}
    for number, one in enumerate(found):
        target = one.target_slots
        assert target[0] == one.slots[0]
        assert target[1:] in (TONER.identifier[1:], CABLE.identifier[1:])
        # Every second one has a slot of the item, too.
        beside = [p for p in range(1, POSITIONS) if one.slots[p]]
        assert len(beside) == number % 2
        assert all(one.slots[p] == target[p] for p in beside)
    again = routing_samples(
        reserved, [TONER.identifier, CABLE.identifier], each=4, form="path", seed=1
    )
    assert [*again] == found


def test_self_routing_as_identity_repeats_the_query() -> None:
    reserved = [range(0), range(30, 31), *([range(0)] * 4)]
    (one,) = routing_samples(reserved, [TONER.identifier], each=1, form="identity", seed=1)
    assert one.slots == one.target_slots == (0, 30, 0, 0, 0, 0)


def test_a_query_has_the_slots_that_a_title_with_its_words_would_have(codebook: Codebook) -> None:
    queries = QueryIdentifiers(codebook)
    assert queries.identify("black Acme toner cartridge") == (1, 1, 1, 0, 0, 0)
    # Items write it with an "a", queries as they like.
    assert queries.identify("cables, grey") == (2, 0, 2, 0, 0, 0)
    assert queries.identify("zorblax") == (0, 0, 0, 0, 0, 0)
    assert queries.identify("") == (0, 0, 0, 0, 0, 0)


def test_a_bound_term_takes_its_position(codebook: Codebook) -> None:
    queries = QueryIdentifiers(codebook)
    terms = BoundTerms([(1, "quietcore", Slot(0, 60)), (2, "black", Slot(2, 31))])
    assert queries.identify("quietcore toner cartridge, black", terms) == (60, 0, 31, 0, 0, 0)
    assert queries.term_slots("black toner, quietcore", terms) == (Slot(2, 31), Slot(0, 60))
    assert queries.term_slots("toner", terms) == ()
    assert queries.identify("acme", terms) == (0, 1, 0, 0, 0, 0)


def test_fusion_prefers_what_both_rankings_have_and_then_what_words_say() -> None:
    # b: 1/12 + 2/11, c: 2/12, a: 1/11.
    assert fuse_rankings(["a", "b"], ["b", "c"], limit=3) == ["b", "c", "a"]
    # 1/11 and 2/22 are equal.
    words = [f"w{rank}" for rank in range(1, 13)]
    assert fuse_rankings(["m"], words, limit=13)[11:] == ["m", "w12"]
    assert fuse_rankings(["a"], ["b"], limit=1) == ["b"]
