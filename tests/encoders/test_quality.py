"""How well identifiers distinguish items: exact values, worked out by hand."""

import numpy as np
import pytest

from kae.encoders.fitting.closed_codebooks import embed, residual_kmeans
from kae.encoders.groups.information import IdentifierQuality, measure_identifiers

CAPACITIES = [4, 4, 4, 4, 4, 8]


def test_the_measures_of_five_items() -> None:
    codes = np.array(
        [
            [1, 1, 1, 0, 0, 0],
            [1, 1, 1, 0, 0, 0],
            [2, 1, 0, 0, 0, 0],
            [1, 2, 3, 0, 0, 1],
            [0, 0, 0, 0, 0, 0],
        ]
    )
    measured = measure_identifiers(codes, CAPACITIES)
    assert measured.coverage == 0.6
    assert measured.icr == 0.6
    assert measured.cur == (0.75, 0.75, 0.75, 0.25, 0.25, 0.25)
    # Two fifths of the items share one identifier, each other fifth has its own.
    assert measured.bits_per_item == pytest.approx(0.4 * np.log2(2.5) + 0.6 * np.log2(5), abs=1e-4)
    assert measured.items_per_identifier_p99 == 2
    assert measure_identifiers(codes, CAPACITIES, has_empty=False).coverage == 1.0


def test_ninety_nine_of_a_hundred_identifiers() -> None:
    alone = [[n % 4, n // 4 % 4, n // 16 % 4, n // 64, 1, 1] for n in range(198)]
    shared = [[0, 0, 0, 0, 2, n // 7] for n in range(14)]
    codes = np.array(alone + shared)
    assert measure_identifiers(codes[:-7], CAPACITIES).items_per_identifier_p99 == 1
    assert measure_identifiers(codes, CAPACITIES).items_per_identifier_p99 == 1
    assert (
        measure_identifiers(
            np.array([*codes, *codes[-7:] + 1]), CAPACITIES
        ).items_per_identifier_p99
        == 7
    )


def test_no_items_have_no_quality() -> None:
    nothing = IdentifierQuality(0.0, 0.0, (0.0,) * 6, 0.0, 0)
    assert measure_identifiers(np.zeros((0, 6), dtype=np.int32), CAPACITIES) == nothing


def test_a_closed_codebook_tells_different_titles_apart_and_alike_ones_together() -> None:
    titles = [f"kind{n % 7} size{n % 5} tone{n % 11}" for n in range(120)]
    vectors = embed(titles, seed=1)
    told: list[int] = []
    codes = residual_kmeans(vectors, [16] * 6, 1, told.append)
    assert told == [1, 2, 3, 4, 5, 6]
    by_title: dict[str, list[int]] = {}
    for title, code in zip(titles, codes.tolist(), strict=True):
        assert by_title.setdefault(title, code) == code
    assert measure_identifiers(codes, [16] * 6, has_empty=False).icr > 0.7
    again = residual_kmeans(embed(titles, seed=1), [16] * 6, 1)
    assert np.array_equal(codes, again)


@pytest.mark.parametrize("titles", [["one"], ["same", "same"], ["", "👍"], ["a b", "b c", "无 线"]])
def test_titles_that_say_little_are_embedded(titles: list[str]) -> None:
    codes = residual_kmeans(embed(titles, seed=1), [4] * 6, 1)
    assert codes.shape == (len(titles), 6)
    assert (codes < 4).all()
