"""What an encoding allows, worked out by hand."""

import numpy as np

from kae.bench.retriever.ceiling import ceiling_of
from kae.bench.retriever.encodings import KAE, Encoding
from kae.bench.retriever.judged_queries import JudgedQuery
from kae.bench.retriever.query_coverage import coverage_of, query_identifiers, shared_positions
from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.codebook.codebook import Codebook, CodebookWord
from kae.encoders.items import Item
from kae.streams.topology.types import Topology

# Queries that say nothing.
ASKED = np.zeros((2, 6), np.int32)


def encoded(*codes: int) -> Encoding:
    """Items that differ at the first position alone."""
    rows = np.zeros((len(codes), 6), np.int32)
    rows[:, 0] = codes
    return Encoding(KAE, rows, (16,) * 6)


def test_an_item_with_an_identifier_of_its_own_is_always_found() -> None:
    queries = [JudgedQuery("a", {"a": 3.0}), JudgedQuery("b", {"b": 3.0, "c": 3.0})]
    ceiling = ceiling_of(encoded(1, 2, 3), ASKED[:2], ["a", "b", "c"], queries, 5)
    assert (ceiling.hr10, ceiling.hr350) == (1.0, 1.0)
    assert (ceiling.identifiers, ceiling.items_per_identifier, ceiling.capacity) == (3, 1.0, 96)


def test_items_that_share_an_identifier_come_in_the_order_of_the_table() -> None:
    # Twelve items share one identifier: a decoder cannot bring the last two among the first ten.
    ids = [f"i{number}" for number in range(12)]
    queries = [JudgedQuery("first", {"i0": 3.0}), JudgedQuery("last", {"i11": 3.0})]
    ceiling = ceiling_of(encoded(*[1] * 12), ASKED[:2], ids, queries, 12)
    assert (ceiling.hr10, ceiling.hr100) == (0.5, 1.0)
    # A table of five items an identifier never brings it.
    assert ceiling_of(encoded(*[1] * 12), ASKED[:2], ids, queries, 5).hr350 == 0.5
    assert (ceiling.most_items_per_identifier, ceiling.quality.icr) == (12, 0.0)


def test_the_identifier_with_the_highest_share_of_clicked_items_comes_first() -> None:
    # x is alone under its identifier; y stands behind ten others under another.
    ids = [*(f"i{number}" for number in range(10)), "y", "x"]
    ceiling = ceiling_of(
        encoded(*[1] * 11, 2), ASKED[:1], ids, [JudgedQuery("both", {"x": 3.0, "y": 3.0})], 11
    )
    # x is first, then the eleven: y is twelfth.
    assert (ceiling.hr10, ceiling.hr100) == (0.5, 1.0)


def test_an_item_that_the_catalog_lacks_is_not_found() -> None:
    ceiling = ceiling_of(
        encoded(1), ASKED[:1], ["a"], [JudgedQuery("q", {"a": 3.0, "gone": 3.0})], 5
    )
    assert ceiling.hr350 == 0.5


def test_identifiers_have_a_position_in_common_unless_it_is_empty() -> None:
    queries = [JudgedQuery("one", {"a": 3.0, "b": 3.0}), JudgedQuery("two", {"c": 3.0, "d": 3.0})]
    asked = np.array([[1, 0, 0, 0, 0, 0], [2, 0, 5, 0, 0, 0]], np.int32)
    codes = np.array([[1] * 6, [3] * 6, [2] * 6, [0] * 6], np.int32)
    row_of = {"a": 0, "b": 1, "c": 2, "d": 3}
    shared = shared_positions(asked, codes, row_of, queries, has_empty=True)
    # a and c; d has nothing but empty positions, which say nothing.
    assert shared.pairs == 0.5
    # Half of the pairs on: query one has c and d, query two a and b.
    assert shared.by_chance == 0.0
    # Where 0 is a code as any other, d has it too; so does query one, with d.
    closed = shared_positions(asked, codes, row_of, queries, has_empty=False)
    assert (closed.pairs, closed.by_chance) == (0.75, 0.25)


def test_a_vocabulary_is_measured_by_what_queries_and_items_say() -> None:
    entity, color = CATEGORY_INDEX["entity"], CATEGORY_INDEX["color"]
    words = [("drill", entity, 1, 9), ("bit", entity, 2, 5), ("red", color, 1, 7)]
    codebook = Codebook(
        Topology.load().codebook_groups,
        {},
        [CodebookWord(category, word, index, n, True) for word, category, index, n in words],
    )
    # Of two entities the rarer one represents an item: bit, not drill.
    items = [Item("d", "Drill"), Item("b", "Drill Bit"), Item("other", "Lamp")]
    queries = [
        JudgedQuery("drill", {"d": 3.0, "b": 3.0, "gone": 3.0}),
        JudgedQuery("red zorblax", {"d": 3.0}),
        JudgedQuery("zorblax", {"other": 3.0}),
    ]
    asked = query_identifiers(codebook, [query.text for query in queries])
    coverage = coverage_of(codebook, items, asked, queries)
    assert (coverage.queries, coverage.with_identifier, coverage.with_unknown) == (3, 2, 2)
    assert coverage.by_positions == (1, 2, 0, 0, 0, 0, 0)
    assert (coverage.pairs, coverage.pairs_in_catalog) == (5, 4)
    # The drill has drill on its identifier; the bit only among its words; red is nobody's.
    assert (coverage.pairs_sharing_a_slot, coverage.pairs_sharing_a_word) == (1, 2)
