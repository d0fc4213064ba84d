"""Words of a codebook that may mean much the same as a new one."""

from pathlib import Path

import pytest

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.vocabulary.similar_words import MAX_NEIGHBOURS, MIN_COSINE, MeaningNeighbours

SHIPPED = Path(__file__).parents[2] / "deploy" / "local" / "codebook"


@pytest.fixture(scope="module")
def meanings() -> MeaningNeighbours:
    return MeaningNeighbours(Codebook.load(SHIPPED))


@pytest.mark.parametrize(
    ("form", "meant"),
    [("earphones", "ear headphones"), ("notebook bag", "laptop bag"), ("kids", "children")],
)
def test_a_word_of_other_letters_is_found_by_what_it_means(
    meanings: MeaningNeighbours, form: str, meant: str
) -> None:
    assert meant in [word.word for word, _ in meanings.like(form)]


def test_the_nearest_come_first_and_none_is_told_twice(meanings: MeaningNeighbours) -> None:
    found = meanings.like("earphones")
    cosines = [cosine for _, cosine in found]
    assert cosines == sorted(cosines, reverse=True)
    assert min(cosines) >= MIN_COSINE
    assert len({word.word for word, _ in found}) == len(found) <= MAX_NEIGHBOURS


def test_a_word_that_says_more_of_the_same_is_not_told(meanings: MeaningNeighbours) -> None:
    told = [word.word for word, _ in meanings.like("laptop")]
    assert not any("laptop" in word.split() for word in told)


@pytest.mark.parametrize("form", ["zorblax", "😀", "\u6728\u5236\u684c\u5b50", "x" * 500])
def test_what_nothing_is_known_of_is_like_nothing(meanings: MeaningNeighbours, form: str) -> None:
    assert meanings.like(form) == []
