"""How much of a feed's fields the field mapping covers, and what is said when it is too little."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from kae.encoders.items import Item
from kae.streams.catalog.coverage import CoverageCount, FieldShare, MappingCoverage
from kae.streams.catalog.rows import FeedPosition, FeedRow


def counted(
    items: Sequence[Mapping[str, str]], fields: dict[str, str], wanted: float
) -> MappingCoverage:
    count = CoverageCount(fields, wanted)
    rows = [
        FeedRow(Path("a.csv"), FeedPosition(0, n), Item(str(n), "x", "", dict(names)), None, {})
        for n, names in enumerate(items, 1)
    ]
    assert list(count.count(rows)) == rows
    return count.result()


def test_a_mapping_of_other_column_names_is_told_with_both_sides() -> None:
    items = [{"farbe": "rot", "marke": "x", "rest": "y"}, {"farbe": "blau", "marke": "z"}]
    coverage = counted(items, {"colour": "color", "marke": "brand"}, 60)
    assert (coverage.values, coverage.mapped_values, coverage.percent) == (5, 2, 40.0)
    assert not coverage.sufficient
    assert coverage.mapped_absent == ("colour",)
    assert coverage.unmapped_common == (FieldShare("farbe", 2),)
    assert coverage.warning == (
        "catalog.fields covers 40% of the 5 values in the fields of 2 items, less than "
        "limits.mapped_percent (60%); no item has colour; most items have farbe, which the mapping "
        "leaves out; `kae catalog inspect FILE` proposes a mapping"
    )


def test_a_mapping_that_covers_enough_and_a_feed_without_fields_are_sufficient() -> None:
    assert counted([{"farbe": "rot", "id2": "7"}], {"farbe": "color"}, 50).sufficient
    assert counted([{}], {"farbe": "color"}, 50).sufficient
    assert counted([], {"farbe": "color"}, 50).sufficient
