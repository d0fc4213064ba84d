"""What an encoding allows, worked out by hand."""

import numpy as np

from kae.bench.retriever.ceiling import ceiling_of
from kae.bench.retriever.encodings import KAE, Encoding
from kae.bench.retriever.judged_queries import JudgedQuery


def encoded(*codes: int) -> Encoding:
    """Items that differ at the first position alone."""
    rows = np.zeros((len(codes), 6), np.int32)
    rows[:, 0] = codes
    return Encoding(KAE, rows, (16,) * 6)


def test_an_item_with_an_identifier_of_its_own_is_always_found() -> None:
    queries = [JudgedQuery("a", {"a": 3.0}), JudgedQuery("b", {"b": 3.0, "c": 3.0})]
    ceiling = ceiling_of(encoded(1, 2, 3), ["a", "b", "c"], queries, 5)
    assert (ceiling.hr10, ceiling.hr350) == (1.0, 1.0)
    assert (ceiling.identifiers, ceiling.items_per_identifier, ceiling.capacity) == (3, 1.0, 96)


def test_items_that_share_an_identifier_come_in_the_order_of_the_table() -> None:
    # Twelve items share one identifier: a decoder cannot bring the last two among the first ten.
    ids = [f"i{number}" for number in range(12)]
    queries = [JudgedQuery("first", {"i0": 3.0}), JudgedQuery("last", {"i11": 3.0})]
    ceiling = ceiling_of(encoded(*[1] * 12), ids, queries, 12)
    assert (ceiling.hr10, ceiling.hr100) == (0.5, 1.0)
    # A table of five items an identifier never brings it.
    assert ceiling_of(encoded(*[1] * 12), ids, queries, 5).hr350 == 0.5
    assert (ceiling.most_items_per_identifier, ceiling.quality.icr) == (12, 0.0)


def test_the_identifier_with_the_highest_share_of_clicked_items_comes_first() -> None:
    # x is alone under its identifier; y stands behind ten others under another.
    ids = [*(f"i{number}" for number in range(10)), "y", "x"]
    ceiling = ceiling_of(
        encoded(*[1] * 11, 2), ids, [JudgedQuery("both", {"x": 3.0, "y": 3.0})], 11
    )
    # x is first, then the eleven: y is twelfth.
    assert (ceiling.hr10, ceiling.hr100) == (0.5, 1.0)


def test_an_item_that_the_catalog_lacks_is_not_found() -> None:
    ceiling = ceiling_of(encoded(1), ["a"], [JudgedQuery("q", {"a": 3.0, "gone": 3.0})], 5)
    assert ceiling.hr350 == 0.5
