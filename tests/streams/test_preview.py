"""What a term would do, asked before, beside what binding it then does."""

import msgspec
import pytest
from tests.streams.followed import Followed

from kae.encoders.items import Item
from kae.streams.events.envelope import Undecodable
from kae.streams.events.term_data import BindData, ReleaseData, SelectorData, TermData
from kae.streams.events.terms import encode_term
from kae.streams.replica.preview import Previewer
from kae.streams.replica_api.terms import Previewed


@pytest.fixture
def filled(followed: Followed, catalog: list[Item]) -> Followed:
    followed.put(catalog[:300])
    followed.follow()
    return followed


def ask(followed: Followed, term: str, where: str = "", **data: object) -> Previewed:
    selector = SelectorData(where=where)
    asked = BindData(revision=1 << 40, selector=selector, by="ann")
    asked = msgspec.structs.replace(asked, **data)
    previewer = Previewer(followed.codebook, followed.topology, followed.searching)
    return previewer.preview(followed.index.view, encode_term(term, asked, "/test"))


def kinds(previewed: Previewed) -> list[tuple[str, str]]:
    return [(one.kind, one.other) for one in previewed.collisions]


def test_a_preview_counts_what_the_bind_then_does(filled: Followed) -> None:
    before = filled.index.view.trie.path_count
    told = ask(filled, "Quietcore", 'brand = "hp"', category="brand")
    assert filled.index.view.trie.path_count == before
    assert 0 < told.identifiers <= told.items
    assert told.groups[told.room.position].words[0].items == told.items
    assert [brand.items for brand in told.brands if brand.word == "hp"] == [told.items]
    assert len(told.sample) == 10
    filled.bind("quietcore", where='brand = "hp"', category="brand")
    filled.spread_all()
    filled.follow()
    assert filled.receipt("quietcore").attached_items == told.items
    assert filled.index.view.trie.path_count - before == told.identifiers


def test_a_preview_counts_items_whose_words_are_not_read_yet(
    filled: Followed, catalog: list[Item]
) -> None:
    known = ask(filled, "quietcore", 'brand = "hp"').items
    more = [item for item in catalog[300:] if item.fields.get("brand") == "HP"][:5]
    filled.put(more)
    for shard in range(len(filled.shards)):
        filled.follow_shard(shard)
    filled.swap()
    assert ask(filled, "quietcore", 'brand = "hp"').items == known + len(more)


def test_a_plan_is_the_same_whoever_asks_and_another_when_the_items_are(filled: Followed) -> None:
    first = ask(filled, "quietcore", 'brand = "hp"', by="ann", reason="spring").plan
    assert ask(filled, "QuietCore", 'brand = "hp"', by="ben").plan == first
    assert ask(filled, "quietcore", 'brand = "hp"', aliases=["quiet"]).plan.hash != first.hash
    filled.drop([ask(filled, "quietcore", 'brand = "hp"').sample[0].id])
    filled.follow()
    later = ask(filled, "quietcore", 'brand = "hp"').plan
    assert (later.items, later.hash == first.hash) == (first.items - 1, False)


def test_a_preview_tells_who_has_the_word_already(filled: Followed) -> None:
    word = next(
        w.word for w in filled.codebook.words if w.index and len(w.word) > 7 and w.word.isalpha()
    )
    slip = word[:3] + word[4:]
    filled.bind("quietcore", where='brand = "hp"')
    filled.follow()
    assert ("codebook", word) in kinds(ask(filled, word, 'brand = "hp"'))
    assert ("near", word) in kinds(ask(filled, slip, 'brand = "hp"'))
    assert ("meaning", "power adapter inverter") in kinds(
        ask(filled, "powerverter", 'brand = "hp"')
    )
    assert kinds(ask(filled, "quietcore", 'brand = "hp"')) == [("bound", "quietcore")]
    aliased = ask(filled, "zorblax", 'brand = "hp"', aliases=["quietcore"])
    assert kinds(aliased) == [("form", "quietcore")]
    assert kinds(ask(filled, "quietcoore", 'brand = "hp"')) == [("near", "quietcore")]
    assert kinds(ask(filled, "zorblax", 'brand = "hp"')) == []


def test_a_search_is_shown_as_it_would_be_beside_as_it_is(filled: Followed) -> None:
    asked = BindData(1 << 40, SelectorData(where='brand = "hp"'), category="color")
    event = encode_term("quietcore", asked, "/test")
    previewer = Previewer(filled.codebook, filled.topology, filled.searching)
    for query in ("quietcore", "quietcore toner"):
        before = filled.search(query, 10)
        told = previewer.preview(filled.index.view, event, query).search
        assert told is not None
        assert (told.now, filled.search(query, 10)) == (before, before)
        assert [hit.via for hit in told.then] == ["quietcore"] * 10
        filled.bind("quietcore", where='brand = "hp"', category="color")
        filled.spread_all()
        filled.follow()
        assert filled.search(query, 10) == told.then
        filled.release("quietcore")
        filled.spread_all()
        filled.follow()


def test_a_term_that_takes_another_s_place_is_searched_in_its_place(filled: Followed) -> None:
    filled.bind("quietcore", where='brand = "hp"', category="color")
    filled.spread_all()
    filled.follow()
    asked = BindData(1 << 40, SelectorData(where='brand != "hp"'), category="color")
    event = encode_term("quietcore", asked, "/test")
    previewer = Previewer(filled.codebook, filled.topology, filled.searching)
    told = previewer.preview(filled.index.view, event, "quietcore").search
    assert told is not None
    assert {hit.id for hit in told.now}.isdisjoint(hit.id for hit in told.then)
    assert [hit.via for hit in told.then] == ["quietcore"] * 10


def test_a_preview_of_a_full_position_says_that_it_would_be_refused(filled: Followed) -> None:
    room = ask(filled, "zorblax", 'brand = "hp"', category="color").room
    assert (room.group, room.needed) == ("color-marketing", 1)
    for number in range(room.free):
        filled.bind(f"word{number}", where='brand = "nobody"', category="color")
    filled.follow()
    told = ask(filled, "zorblax", 'brand = "hp"', category="color")
    assert (told.room.free, told.room.reserved) == (0, room.reserved)
    assert "CodebookFull" in (told.refused or "")
    assert ask(filled, "zorblax", 'brand = "hp"', category="brand").refused is None


@pytest.mark.parametrize(
    ("term", "data", "cause"),
    [
        ("...", BindData(1, SelectorData("a")), "subject: '...' has no letter or digit"),
        (
            "a",
            BindData(1, SelectorData(where="brand = hp")),
            "data.selector: where: 'hp' at character 9",
        ),
        (
            "a",
            BindData(1, SelectorData(match="x" * 1025)),
            "data: Expected `str` of length <= 1024",
        ),
        (
            "a",
            BindData(1, SelectorData("a"), category="smell"),
            "data.category: 'smell' is none of",
        ),
        ("a", ReleaseData(1), "the event asks for a Release; send kae.term.bind.v1"),
    ],
)
def test_an_event_that_is_no_bind_is_refused_with_its_cause(
    filled: Followed, term: str, data: TermData, cause: str
) -> None:
    previewer = Previewer(filled.codebook, filled.topology, filled.searching)
    with pytest.raises(Undecodable) as refused:
        previewer.preview(filled.index.view, encode_term(term, data, "/test"))
    assert cause in str(refused.value)
