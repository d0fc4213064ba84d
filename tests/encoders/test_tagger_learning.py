"""The training and test data of the tagger; training itself needs the extra `neural`."""

from kae.encoders.tagger.evaluation import evaluate_values
from kae.encoders.tagger.labelled import (
    LabelledTitle,
    LabelledValue,
    TitleVariations,
    read_kinds,
    read_titles,
    split_folds,
)

CATEGORY_OF = {kind.name: kind.category for kind in read_kinds()}


def test_the_labelled_values_are_parts_of_their_titles() -> None:
    titles = read_titles()
    placed = [
        frozenset((CATEGORY_OF[one.kind], title.text[one.begin : one.end]) for one in title.values)
        for title in titles
    ]
    assert len(titles) == 1452
    found = evaluate_values(zip(placed, (title.gold for title in titles), strict=True))
    assert found.micro.precision == 1.0
    assert found.micro.recall > 0.999  # a few are parts of words


def test_no_text_is_on_both_sides_of_a_split_and_each_is_held_back_once() -> None:
    titles = read_titles()
    held_back: list[str] = []
    for fold in range(5):
        learned, measured_with = split_folds(titles, 5, fold, seed=0)
        assert {one.text for one in learned}.isdisjoint(one.text for one in measured_with)
        assert len(learned) + len(measured_with) == len(titles)
        held_back += [one.text for one in measured_with]
    assert sorted(held_back) == sorted(one.text for one in titles)


def test_a_variation_puts_known_values_where_it_says() -> None:
    titles = [
        LabelledTitle(
            "Acme Red Tea",
            "Tea",
            (LabelledValue(0, 4, "Brand"), LabelledValue(5, 8, "Color")),
            frozenset(),
        ),
        LabelledTitle(
            "Bolt Blue Tea",
            "Tea",
            (LabelledValue(0, 4, "Brand"), LabelledValue(5, 9, "Color")),
            frozenset(),
        ),
    ]
    variations = TitleVariations(titles, seed=7)
    seen: set[str] = set()
    for _ in range(1000):
        text, values = variations.vary(titles[0])
        brand, color = (text[one.begin : one.end] for one in values)
        assert brand.casefold() in ("acme", "bolt")
        assert color.casefold() in ("red", "blue")
        assert text.casefold() == f"{brand} {color} tea".casefold()
        seen.add(text)
    assert {"Acme Red Tea", "Bolt Blue Tea", "acme red tea", "ACME RED TEA"} <= seen


def test_a_category_counts_by_its_exact_texts() -> None:
    gold = frozenset({("brand", "Acme"), ("color", "Red"), ("entity", "Tea")})
    found = frozenset({("brand", "Acme"), ("color", "Dark Red")})
    measured = evaluate_values([(found, gold)])
    assert (measured.micro.precision, measured.micro.recall) == (0.5, 0.3333)
    assert measured.micro.f1 == 0.4
    assert measured.categories["color"].f1 == 0.0
    assert measured.macro_f1 == 0.5  # brand and color: nothing is asked of the other five
