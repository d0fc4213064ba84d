"""Searching: unknown words, bound words, and the order of what is found."""

from tests.streams.followed import SHARDS, Followed

from kae.encoders.attributes import Item
from kae.encoders.selector import Selector, compile_selector


def test_a_word_that_nobody_knows_finds_nothing(line: Followed, catalog: list[Item]) -> None:
    line.put(catalog)
    line.follow()
    assert line.search("quietcore") == []
    assert line.search("?! ...") == []


def test_a_bound_word_leads_to_its_items_and_a_released_one_to_none(
    line: Followed, catalog: list[Item]
) -> None:
    line.put(catalog)
    line.bind("quietcore", where='brand = "hp"')
    line.spread_all()
    line.follow()
    selector = compile_selector(Selector(where='brand = "hp"'))
    expected = {
        item.id
        for item, encoded in ((item, line.encoder.encode(item)) for item in catalog)
        if selector.matches(item.id, encoded.text, encoded.attributes)
    }
    hits = line.search("quietcore")
    assert {hit.id for hit in hits} == expected
    assert {hit.via for hit in hits} == {"quietcore"}
    assert {hit.path[0] for hit in hits} == {"quietcore"}
    assert all(hit.path[1:] == hit.identifier[1:] and hit.covers == [0] for hit in hits)
    line.release("quietcore")
    # Hidden at once, also while the shards have not detached it yet.
    line.follow()
    assert line.search("quietcore") == []


def test_a_binding_is_hidden_until_the_bindings_log_names_it(
    line: Followed, catalog: list[Item]
) -> None:
    line.put(catalog[:200])
    line.bind("quietcore", where='brand = "hp"')
    line.spread_all()
    for shard in range(SHARDS):
        line.follow_shard(shard)
    line.swap()
    position, index = 0, next(iter(line.registrar.bindings.active.values())).index
    assert index not in line.index.view.trie.children()[position:].tolist()
    assert line.search("quietcore") == []
    line.follow()
    assert index in line.index.view.trie.children().tolist()
    assert line.search("quietcore") != []


def test_an_item_comes_once_by_the_path_that_covers_most(
    line: Followed, catalog: list[Item]
) -> None:
    line.put(catalog)
    line.bind("quietcore", where='brand = "hp"')
    line.bind("inkwise", where='brand = "hp"', category="style")
    line.spread_all()
    line.follow()
    hits = line.search("hp quietcore")
    assert len({hit.id for hit in hits}) == len(hits)
    both = [hit for hit in hits if hit.via == "quietcore"]
    assert both
    assert {tuple(hit.covers) for hit in both} == {(0, 1)}
    # One term at a time: no path holds two of them.
    assert all(not {"quietcore", "inkwise"} <= set(hit.path) for hit in hits)


def test_of_two_paths_that_cover_the_same_the_items_own_is_named(
    line: Followed, catalog: list[Item]
) -> None:
    line.put(catalog)
    line.bind("quietcore", where='brand = "hp"', category="style")
    line.spread_all()
    line.follow()
    hits = line.search("hp")
    assert hits
    assert {hit.via for hit in hits if "hp" in hit.identifier} == {None}


def test_results_are_ranked_by_coverage_own_words_popularity_and_id(
    line: Followed, catalog: list[Item]
) -> None:
    line.put(catalog)
    line.follow()
    hits = line.search("hp black toner cartridge")
    ranks = [(-hit.score, -hit.own_words, -hit.popularity, hit.id) for hit in hits]
    assert ranks == sorted(ranks)
    assert len({hit.score for hit in hits}) > 1
    assert [hit.id for hit in line.search("hp black toner cartridge", limit=7)] == [
        hit.id for hit in hits[:7]
    ]


def test_an_identifier_is_shown_in_the_items_own_words(line: Followed, catalog: list[Item]) -> None:
    line.put(catalog[:500])
    line.follow()
    for hit in line.search("hp black", limit=50):
        shown = [word for word in hit.identifier if word is not None]
        encoded = line.encoder.encode(next(item for item in catalog if item.id == hit.id))
        assert set(shown) <= {attribute.word for attribute in encoded.attributes}
        assert [word is None for word in hit.identifier] == [i == 0 for i in encoded.identifier]
