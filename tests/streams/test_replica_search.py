"""Searching: unknown words, bound words, and the order of what is found."""

from itertools import pairwise
from pathlib import Path

from tests.sinks.next_slots import next_slots
from tests.streams.followed import SHARDS, Followed

from kae.encoders.categories import CATEGORY_INDEX, Identifier
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.items import Item
from kae.encoders.selector import Selector, compile_selector
from kae.sinks.log.term_changes import Adjust
from kae.sinks.terms.due import ShardStates
from kae.streams.replica.decode import Decode
from kae.streams.replica.explain import describe_item
from kae.streams.replica.search import Search


def position(followed: Followed, category: str) -> int:
    return followed.codebook.position_of(CATEGORY_INDEX[category])


def test_a_word_that_nobody_knows_finds_nothing(followed: Followed, catalog: list[Item]) -> None:
    followed.put(catalog)
    followed.follow()
    assert followed.search("quietcore") == []
    assert followed.search("?! ...") == []


def test_a_bound_word_leads_to_its_items_and_a_released_one_to_none(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog)
    followed.bind("quietcore", where='brand = "hp"')
    followed.spread_all()
    followed.follow()
    selector = compile_selector(Selector(where='brand = "hp"'))
    expected = {
        item.id
        for item, encoded in ((item, followed.encoder.encode(item)) for item in catalog)
        if selector.matches(item.id, encoded.text, encoded.attributes)
    }
    hits = followed.search("quietcore")
    assert {hit.id for hit in hits} == expected
    assert {hit.via for hit in hits} == {"quietcore"}
    term = position(followed, "entity")
    for hit in hits:
        assert [p for p in range(6) if hit.path[p] != hit.identifier[p]] == [term] == hit.covers
        assert hit.path[term] == "quietcore"
    followed.release("quietcore")
    # Hidden at once, also while the shards have not detached it yet.
    followed.follow()
    assert followed.search("quietcore") == []


def test_a_binding_is_hidden_until_the_bindings_log_names_it(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog[:200])
    # Of the first position, where the trie's root shows it.
    assert position(followed, "model") == 0
    followed.bind("quietcore", where='brand = "hp"', category="model")
    followed.spread_all()
    for shard in range(SHARDS):
        followed.follow_shard(shard)
    followed.swap()
    index = next(iter(followed.registrar.bindings.bound.values())).index
    assert index not in next_slots(followed.index.view.trie, ())
    assert followed.search("quietcore") == []
    followed.follow()
    assert index in next_slots(followed.index.view.trie, ())
    assert followed.search("quietcore") != []


def test_an_item_comes_once_by_the_path_that_covers_most(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog)
    followed.bind("quietcore", where='brand = "hp"')
    followed.bind("inkwise", where='brand = "hp"', category="style")
    followed.spread_all()
    followed.follow()
    hits = followed.search("hp quietcore")
    assert len({hit.id for hit in hits}) == len(hits)
    both = [hit for hit in hits if hit.via == "quietcore"]
    assert both
    term, brand = position(followed, "entity"), position(followed, "brand")
    for hit in both:
        assert set(hit.covers) == ({term, brand} if hit.path[brand] == "hp" else {term})
    assert {hit.via for hit in hits if hit.path[brand] == "hp"} == {"quietcore"}
    # One term at a time: no path holds two of them.
    assert all(not {"quietcore", "inkwise"} <= set(hit.path) for hit in hits)


def test_of_two_paths_that_cover_the_same_the_items_own_is_named(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog)
    followed.bind("quietcore", where='brand = "hp"', category="style")
    followed.spread_all()
    followed.follow()
    hits = followed.search("hp")
    assert hits
    assert {hit.via for hit in hits if "hp" in hit.identifier} == {None}


def test_results_are_ranked_by_own_words_and_coverage(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog)
    followed.follow()
    hits = followed.search("hp black toner cartridge")
    ranks = [hit.own_words + hit.score / 5 for hit in hits]
    assert all(after - before <= 2e-6 for before, after in pairwise(ranks))
    assert len(set(ranks)) > 1
    assert [hit.id for hit in followed.search("hp black toner cartridge", limit=7)] == [
        hit.id for hit in hits[:7]
    ]


def test_equally_ranked_items_come_by_popularity_and_then_by_id(followed: Followed) -> None:
    followed.put(
        [
            Item(f"i{number}", "quiet toner cartridge", popularity=float(number % 3))
            for number in range(9)
        ]
    )
    followed.follow()
    expected = ["i2", "i5", "i8", "i1", "i4", "i7", "i0", "i3", "i6"]
    assert [hit.id for hit in followed.search("toner cartridge")] == expected
    for limit in range(1, 9):
        assert [h.id for h in followed.search("toner cartridge", limit=limit)] == expected[:limit]


def test_an_item_is_found_by_a_word_that_its_identifier_does_not_carry(followed: Followed) -> None:
    sellers = {"hp": "quietcore", "epson": "inkwise"}
    followed.put(
        [
            Item(f"{brand}-{number}", f"{brand} toner cartridge {word}", fields={"brand": brand})
            for brand, word in sellers.items()
            for number in range(3)
        ]
    )
    followed.follow()
    hits = followed.search("quietcore", limit=3)
    assert {hit.id for hit in hits} == {"hp-0", "hp-1", "hp-2"}
    assert all("quietcore" not in hit.identifier for hit in hits)


def test_an_item_that_is_only_like_those_that_say_a_word_is_not_found(followed: Followed) -> None:
    followed.put(
        [
            Item(f"{kind}-{number}", f"hp {kind}", fields={"brand": "hp"})
            for kind in ("quietcore", "inkwise")
            for number in range(3)
        ]
    )
    followed.follow()
    expected = {"quietcore-0", "quietcore-1", "quietcore-2"}
    assert {hit.id for hit in followed.search("quietcore")} == expected
    both = [hit.id for hit in followed.search("hp quietcore")]
    assert len(both) == 6
    assert set(both[:3]) == expected


def test_another_spelling_finds_the_same_and_a_slip_nearly(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog)
    followed.follow()
    expected = [hit.id for hit in followed.search("toner cartridge", limit=20)]
    for text in ("cartridge toners", "tonercartridge", "Toner CARTRIDGE!"):
        assert [hit.id for hit in followed.search(text, limit=20)] == expected, text
    slipped = followed.search("toner catridge", limit=20)
    assert all("artridge" in hit.title for hit in slipped)


def test_what_an_item_said_before_it_changed_does_not_find_it(followed: Followed) -> None:
    followed.put([Item("one", "toner zorblax"), Item("two", "toner cable")])
    followed.follow()
    assert next(hit.id for hit in followed.search("zorblax")) == "one"
    followed.put([Item("one", "toner cable")])
    followed.drop(["two"])
    followed.follow()
    assert followed.search("zorblax") == []
    assert [hit.id for hit in followed.search("cable")] == ["one"]


def test_the_same_items_in_another_order_are_found_alike(
    followed: Followed, codebook: Codebook, catalog: list[Item], tmp_path: Path
) -> None:
    followed.put(catalog[:600])
    followed.follow()
    other = Followed(codebook, tmp_path / "other")
    for first in range(0, 600, 150):
        other.put(catalog[:600][::-1][first : first + 150])
        other.follow()
    for text in ("hp black toner cartridge", "usb cable 2m", "intel xeon", "black"):
        found = [(hit.id, hit.score, hit.own_words) for hit in followed.search(text)]
        assert found == [(hit.id, hit.score, hit.own_words) for hit in other.search(text)]
    other.close()


def test_an_identifier_is_shown_in_the_items_own_words(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog[:500])
    followed.follow()
    for hit in followed.search("hp black", limit=50):
        shown = [word for word in hit.identifier if word is not None]
        encoded = followed.encoder.encode(next(item for item in catalog if item.id == hit.id))
        assert set(shown) <= {attribute.word for attribute in encoded.attributes}
        assert [word is None for word in hit.identifier] == [i == 0 for i in encoded.identifier]


def test_paths_are_there_at_once_and_words_as_soon_as_they_are_captured(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog[:300])
    followed.follow()
    followed.put(catalog[300:600])
    for shard in range(SHARDS):
        followed.follow_shard(shard)
    followed.swap()
    assert followed.index.view.items == 600
    found = {hit.id for hit in followed.search("black")}
    followed.follow()
    assert found < {hit.id for hit in followed.search("black")}


# Pins.


def pin(followed: Followed, term: str, *pins: str) -> None:
    """As the registrar and every shard carry it out, and the replica sees it."""
    revision = followed.registrar.bindings.terms[term][0] + 1
    followed.register(Adjust(term, revision, (), (), pins, followed.tick(), "ann"))
    followed.spread_all()
    reached = dict.fromkeys(range(SHARDS), followed.registrar.bindings.version)
    followed.registrar.apply_due(ShardStates(reached), SHARDS, followed.tick(), 1000)
    followed.spread_all()
    followed.follow()


def test_pinned_items_come_first_in_their_order_also_those_that_no_beam_keeps(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog[:1500])
    followed.bind("quietcore", where='color = "black"')
    pin(followed, "quietcore")
    followed.searching = Search(followed.codebook, beam=4)
    few = followed.search("quietcore")
    assert not any(hit.pinned for hit in few)
    lost = [item.id for item in catalog[:1500] if item.id not in {hit.id for hit in few}]
    chosen = [lost[3], few[-1].id, lost[700], "nowhere"]
    pin(followed, "quietcore", *chosen)
    for limit in (1, 2, 3, 1000):
        hits = followed.search("quietcore", limit)
        assert [hit.id for hit in hits[:3]] == chosen[: min(limit, 3)]
        assert {hit.via for hit in hits[:3]} == {"quietcore"}
    assert [hit.pinned for hit in followed.search("quietcore", 5)] == [True] * 3 + [False] * 2
    assert not any(hit.pinned for hit in followed.search("black", 10))


def test_a_pinned_item_keeps_its_place_when_it_goes_and_comes_again(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog[:300])
    followed.bind("quietcore", where='color = "black"')
    chosen = [catalog[7].id, catalog[9].id]
    pin(followed, "quietcore", *chosen)
    followed.drop([chosen[0]])
    followed.follow()
    assert [hit.id for hit in followed.search("quietcore", 1)] == chosen[1:]
    followed.put([catalog[7]])
    followed.follow()
    assert [hit.id for hit in followed.search("quietcore", 2)] == chosen


def test_a_decode_has_pinned_items_first_behind_a_path_of_their_term_alone(
    followed: Followed,
) -> None:
    items = [Item(str(n), "Zorblax shoe", popularity=float(n)) for n in range(20)]
    followed.put(items)
    followed.bind("quietcore", match="zorblax")
    pin(followed, "quietcore", "3", "11", "0")
    decode = Decode(followed.index.view, followed.codebook)
    via = decode.items(path_of(followed, "3", "quietcore"), 5)
    assert [item.id for item in via] == ["3", "11", "0", "19", "18"]
    own = decode.items(path_of(followed, "3", None), 3)
    assert [item.id for item in own] == ["19", "18", "17"]


def path_of(followed: Followed, item_id: str, term: str | None) -> Identifier:
    explained = describe_item(followed.codebook, followed.index, followed.index.view, item_id)
    assert explained is not None
    a, b, c, d, e, f = next(path.slots for path in explained.paths if path.term == term)
    return a, b, c, d, e, f
