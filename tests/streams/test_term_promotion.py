"""Bound terms as candidates for the next codebook."""

from pathlib import Path

from tests.streams.followed import Followed

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.items import Item
from kae.encoders.vocabulary.candidates import read_candidates, write_candidates
from kae.encoders.vocabulary.fit import learn_vocabulary
from kae.streams.clock import DAY_MS
from kae.streams.replica.explain import describe_bindings
from kae.streams.terms.promotion import Promotion, as_candidates, promotion_of


def promotion(followed: Followed, min_items: int) -> Promotion:
    followed.spread_all()
    followed.follow()
    bound = describe_bindings(followed.codebook, followed.index.view).active
    return promotion_of(bound, followed.codebook, min_items, followed.tick(), None)


def test_active_words_with_items_are_told_and_of_the_others_why_not(
    followed: Followed, catalog: list[Item]
) -> None:
    followed.put(catalog[:300])
    followed.bind("quietcore", where='brand = "hp"')
    followed.bind("hp", match="hp", category="brand")
    followed.bind("512gb", match="black")
    followed.bind("nobody", match="nobody says this")
    followed.bind("darkness", match="black", category="color")
    followed.now += 2 * DAY_MS
    found = promotion(followed, min_items=1)
    assert [(one.term, one.category) for one in found.terms] == [
        ("darkness", "color"),
        ("quietcore", "entity"),
    ]
    assert found.terms[0].items > found.terms[1].items > 0
    assert {one.days for one in found.terms} == {2.0}
    whys = {one.term: one.why for one in found.passed_over}
    assert whys["hp"] == "the codebook has it"
    assert whys["nobody"] == "has 0 items, fewer than 1"
    assert whys["512gb"].startswith("no word that titles are searched for")
    fewer = promotion(followed, min_items=found.terms[0].items)
    assert [one.term for one in fewer.terms] == ["darkness"]


def test_a_fit_takes_up_what_titles_say_of_them(followed: Followed, tmp_path: Path) -> None:
    items = [Item(str(n), f"Zorblax trail shoe number {n}") for n in range(5)]
    followed.put(items)
    followed.bind("zorblax", match="zorblax")
    followed.bind("unsaid", match="shoe")
    found = promotion(followed, min_items=1)
    write_candidates(as_candidates(found.terms), tmp_path / "candidates.tsv")
    told = read_candidates(tmp_path / "candidates.tsv")
    assert told == dict.fromkeys(("zorblax", "unsaid"), CATEGORY_INDEX["entity"])
    fitted = learn_vocabulary(items, followed.codebook.groups, followed.codebook.fields, told)
    assert fitted.dictionary.get("zorblax") == CATEGORY_INDEX["entity"]
    assert "unsaid" not in fitted.dictionary
