"""What no model may see: cold items, removed words and the queries that say them."""

import pytest
from pyroaring import BitMap

from kae.bench.retriever.bound_words import BoundWord, SlotsMissing, dealt, in_rounds, nonce_words
from kae.bench.retriever.holdout import (
    codebook_without,
    dictionary_without,
    hold_out,
    is_cold,
    without,
)
from kae.bench.retriever.inputs import JudgedCatalog
from kae.bench.retriever.judged_queries import JudgedQuery
from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.codebook.codebook import Codebook, CodebookWord
from kae.encoders.items import Item
from kae.encoders.text.normal_form import normalise
from kae.streams.topology.types import Topology

ENTITY = CATEGORY_INDEX["entity"]
TOPOLOGY = Topology.load()


def dictionary() -> Codebook:
    words = ["drill", "drill bit", "hammer", "saw"]
    return Codebook(
        TOPOLOGY.codebook_groups,
        {},
        [CodebookWord(ENTITY, word, index, 9, True) for index, word in enumerate(words, 1)],
    )


def catalog() -> JudgedCatalog:
    """Twenty drills, and twenty hammers of which three are saws, too: too few to be removed."""
    drills = [Item(f"d{number}", f"Cordless Drills no {number}") for number in range(20)]
    hammers = [
        Item(f"h{number}", f"Hammer{' Saw' if number < 3 else ''} no {number}")
        for number in range(20)
    ]
    return JudgedCatalog(
        items=(*drills, *hammers),
        codebook=dictionary(),
        is_fitted=False,
        topology=TOPOLOGY,
        train=(JudgedQuery("drill cordless", {"d1": 3.0}), JudgedQuery("mallet", {"h1": 3.0})),
        test=(
            JudgedQuery("the drill", {"d2": 3.0}),
            JudgedQuery("a saw", {"h1": 3.0}),
            JudgedQuery("hammer", {"d3": 3.0}),  # no item clicked for it says hammer
        ),
        queries_held_back=3,
    )


def test_a_word_that_a_query_and_a_clicked_item_say_is_removed_from_everything() -> None:
    held = hold_out(catalog(), 10)
    assert [(one.word, one.forms, len(one.items)) for one in held.words] == [
        ("drills", ("drills",), 20)
    ]
    # The plural is the same word; the other queries go on as they were.
    assert [query.text for query in held.train] == ["cordless", "mallet"]
    assert [query.text for query in held.test] == ["a saw", "hammer"]
    assert [(query.text, word.word) for query, word in held.test_of_words] == [
        ("the drill", "drills")
    ]
    assert not any("drill" in normalise(item.title) for item in held.warm)


def test_cold_items_keep_their_titles_and_are_nobody_elses() -> None:
    given = catalog()
    held = hold_out(given, 10)
    assert {item.id for item in held.cold} == {item.id for item in given.items if is_cold(item.id)}
    assert {item.id for item in held.cold} | {item.id for item in held.warm} == set(given.ids)
    assert not held.cold_ids & {item.id for item in held.warm}
    assert all(item in given.items for item in held.cold)


def test_a_tenth_of_a_catalog_is_cold() -> None:
    # Binomial: a standard deviation is 30.
    assert 880 < sum(is_cold(str(number)) for number in range(10_000)) < 1120


def test_a_text_that_says_no_removed_word_stays_as_it_is() -> None:
    assert without("The Drill, 18 V", {"hammer"}) == "The Drill, 18 V"
    assert without("The Drill, 18 V", {"drill"}) == "the 18 v"


def test_a_dictionary_loses_every_word_that_has_a_removed_part() -> None:
    lost = dictionary_without(dictionary(), {"drill"})
    assert [(word.word, word.index) for word in lost.words] == [("hammer", 3), ("saw", 4)]
    given = catalog()
    assert codebook_without(given, hold_out(given, 10), 1).words == lost.words


def test_nonce_words_take_the_positions_in_turn() -> None:
    words = nonce_words([[1], [2, 3], list(range(11))], 7, range(6), seed=4)
    assert [word.position for word in words] == [0, 1, 2, 3, 4, 5, 0]
    assert len({word.word for word in words}) == 7
    # One item, and eleven, are not two to ten.
    assert all(word.rows == BitMap([2, 3]) for word in words)
    assert words == nonce_words([[1], [2, 3], list(range(11))], 7, range(6), seed=4)


def test_as_many_words_are_bound_at_once_as_positions_have_slots() -> None:
    words = [
        BoundWord(str(n), (str(n),), position, BitMap()) for n, position in enumerate([0, 0, 0, 1])
    ]
    rounds = in_rounds(words, [2, 2])
    assert [[word.word for word in one] for one in rounds] == [["0", "1", "3"], ["2"]]
    with pytest.raises(SlotsMissing, match=r"positions \[1\] have no reserved slots"):
        in_rounds(words, [2, 0])


def test_items_are_dealt_to_enough_identifiers_and_at_least_to_ten() -> None:
    identifiers = [(n, 0, 0, 0, 0, 0) for n in range(200)]
    few = [(row, identifier[0]) for row, identifier in dealt([7, 8, 9], identifiers, 5)]
    # All three to each of ten.
    assert few == [(row, n) for n in range(10) for row in (7, 8, 9)]
    many = list(dealt(range(60), identifiers, 5))
    # Sixty, five each, are twelve.
    assert [row for row, _ in many] == list(range(60))
    assert {identifier[0] for _, identifier in many} == set(range(12))
    # No more than a hundred, even if that leaves items out.
    assert len(list(dealt(range(600), identifiers, 5))) == 500
