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


def promotion(line: Followed, min_items: int) -> Promotion:
    line.spread_all()
    line.follow()
    bound = describe_bindings(line.codebook, line.index.view).active
    return promotion_of(bound, line.codebook, min_items, line.tick(), None)


def test_active_words_with_items_are_told_and_of_the_others_why_not(
    line: Followed, catalog: list[Item]
) -> None:
    line.put(catalog[:300])
    line.bind("quietcore", where='brand = "hp"')
    line.bind("hp", match="hp", category="brand")
    line.bind("512gb", match="black")
    line.bind("nobody", match="nobody says this")
    line.bind("darkness", match="black", category="color")
    line.now += 2 * DAY_MS
    found = promotion(line, min_items=1)
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
    fewer = promotion(line, min_items=found.terms[0].items)
    assert [one.term for one in fewer.terms] == ["darkness"]


def test_a_fit_takes_up_what_titles_say_of_them(line: Followed, tmp_path: Path) -> None:
    items = [Item(str(n), f"Zorblax trail shoe number {n}") for n in range(5)]
    line.put(items)
    line.bind("zorblax", match="zorblax")
    line.bind("unsaid", match="shoe")
    found = promotion(line, min_items=1)
    write_candidates(as_candidates(found.terms), tmp_path / "candidates.tsv")
    told = read_candidates(tmp_path / "candidates.tsv")
    assert told == dict.fromkeys(("zorblax", "unsaid"), CATEGORY_INDEX["entity"])
    fitted = learn_vocabulary(items, line.codebook.groups, line.codebook.fields, told)
    assert fitted.dictionary.get("zorblax") == CATEGORY_INDEX["entity"]
    assert "unsaid" not in fitted.dictionary
