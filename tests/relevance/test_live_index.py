"""The index that the models of `kae bench retriever` decode from."""

import numpy as np
from pyroaring import BitMap

from kae.bench.retriever.live_index import BoundItems, LiveIndex
from kae.encoders.categories import Slot

# Rows 0 and 1 share an identifier.
CODES = np.array([[1, 2, 0, 0, 0, 0], [1, 2, 0, 0, 0, 0], [3, 2, 0, 0, 0, 4]], np.int32)
CAPACITIES = (10,) * 6


def paths(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.uint16)


def test_items_come_in_the_order_of_the_paths_that_lead_to_them() -> None:
    index = LiveIndex(CODES, CAPACITIES)
    reached = index.items(paths([3, 2, 0, 0, 0, 4], [1, 2, 0, 0, 0, 0]), 5, 10)
    assert reached.rows == [2, 0, 1]
    assert reached.bindings == [0, 0, 0]
    assert index.items(paths([3, 2, 0, 0, 0, 4], [1, 2, 0, 0, 0, 0]), 5, 2).rows == [2, 0]
    assert index.items(paths([1, 2, 0, 0, 0, 0], [3, 2, 0, 0, 0, 4]), 1, 10).rows == [0, 2]


def test_what_no_item_has_is_not_live() -> None:
    index = LiveIndex(CODES, CAPACITIES)
    asked = paths([1, 2, 0, 0, 0, 0], [1, 2, 0, 0, 0, 4], [3, 2, 0, 0, 0, 4])
    assert index.is_live(asked).tolist() == [True, False, True]
    assert index.items(asked[1:2], 5, 10).rows == []


def test_a_bound_word_leads_to_its_items_by_a_path_of_its_own() -> None:
    index = LiveIndex(CODES, CAPACITIES, {7: BoundItems(Slot(0, 9), BitMap([1, 2]))})
    assert np.flatnonzero(index.constraint.mask(np.zeros((1, 0), np.uint16))[0]).tolist() == [
        1,
        3,
        9,
    ]
    reached = index.items(paths([9, 2, 0, 0, 0, 4], [1, 2, 0, 0, 0, 0]), 5, 10)
    # Row 2 by the word; rows 0 and 1 by their own path, since row 1's other was not asked for.
    assert reached.rows == [2, 0, 1]
    assert reached.bindings == [7, 0, 0]


def test_an_item_that_is_put_a_second_time_is_the_same_item_and_listed_first() -> None:
    index = LiveIndex(CODES, CAPACITIES, also=[(2, (1, 2, 0, 0, 0, 0)), (0, (5, 5, 5, 5, 5, 5))])
    reached = index.items(paths([1, 2, 0, 0, 0, 0], [3, 2, 0, 0, 0, 4], [5] * 6), 5, 10)
    assert reached.rows == [2, 0, 1]
    assert index.items(paths([5] * 6), 5, 10).rows == [0]
