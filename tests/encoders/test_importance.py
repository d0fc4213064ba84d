"""Importance of words: what people say when they choose an item, counted by hand."""

from pathlib import Path

import pytest
from tests.encoders.sample import FIELDS, GROUPS

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.codebook.codebook import (
    CLUSTER_FORMAT,
    IMPORTANCE_FORMAT,
    Codebook,
    CodebookInvalid,
    CodebookWord,
)
from kae.encoders.extraction.assign import Encoder, rank_spellings
from kae.encoders.fitting.importance import with_importance
from kae.encoders.items import Item
from kae.encoders.retriever.query_identifier import QueryIdentifiers
from kae.encoders.retriever.samples import Behaviour

ENTITY = CATEGORY_INDEX["entity"]
MOON, LAMP, DESK = Item("1", "Moon Lamp"), Item("2", "Desk Lamp"), Item("3", "Moon Desk")


def entities(*words: tuple[str, int]) -> Codebook:
    """Slots 1 and up, in order; each word with the number of items that have it."""
    made = [
        CodebookWord(ENTITY, word, slot, items, scanned=True)
        for slot, (word, items) in enumerate(words, 1)
    ]
    return Codebook(GROUPS, FIELDS, made, 3, [len(made), *[1] * (len(GROUPS) - 1)])


@pytest.fixture
def rare_first() -> Codebook:
    """The lamp is in most items, so the moon represents a moon lamp."""
    return entities(("lamp", 9), ("moon", 2), ("desk", 1))


def representative(codebook: Codebook, item: Item) -> int:
    return Encoder(codebook).encode(item).identifier[0]


# Chosen: the moon lamp three times, the desk lamp once; a lamp is said in three of four, the moon
# in one of three, the desk in none of one. All in all 4 of 8 words are said.
CHOICES = [
    Behaviour("lamp", clicked=("1",)),
    Behaviour("Lamps!", clicked=("1", "2"), ordered=("1",)),
    Behaviour("moon", ordered=("1", "gone")),
]


def test_a_word_is_as_important_as_it_is_said_where_its_items_are_chosen(
    rare_first: Codebook,
) -> None:
    found = with_importance(rare_first, [MOON, LAMP, DESK, DESK][:3], CHOICES)
    assert {word.word: word.importance for word in found.words} == {
        "lamp": round(1000 * (3 + 5 * 0.5) / (4 + 5)),
        "moon": round(1000 * (1 + 5 * 0.5) / (3 + 5)),
        "desk": round(1000 * (0 + 5 * 0.5) / (1 + 5)),
    }
    # 611, 438, 417: in steps of a sixty-fourth 39, 28, 26.
    assert representative(rare_first, MOON) == 2
    assert representative(found, MOON) == 1
    assert representative(found, DESK) == 2
    assert QueryIdentifiers(found).identify("moon lamp")[0] == 1


def test_what_is_equally_important_is_ranked_by_rarity() -> None:
    words = [("lamp", 9), ("moon", 2), ("desk", 1)]
    assert rank_spellings(words) == {"desk": 0, "moon": 1, "lamp": 2}
    # 500 and 514 are the same sixty-fourth, 520 is the next one.
    assert rank_spellings(words, {"lamp": 514, "moon": 500, "desk": 100}) == {
        "moon": 0,
        "lamp": 1,
        "desk": 2,
    }
    assert rank_spellings(words, {"lamp": 520, "moon": 500})["lamp"] == 0


def test_without_a_choice_of_a_known_item_nothing_changes(rare_first: Codebook) -> None:
    assert rare_first.format == CLUSTER_FORMAT
    for behaviour in ([], [Behaviour("lamp", shown=("1",))], [Behaviour("lamp", clicked=("9",))]):
        found = with_importance(rare_first, [MOON, LAMP], behaviour)
        assert found.fingerprint == rare_first.fingerprint


def test_a_codebook_that_knows_behaviour_is_written_and_read_as_it_is(
    rare_first: Codebook, tmp_path: Path
) -> None:
    found = with_importance(rare_first, [MOON, LAMP, DESK], CHOICES)
    assert found.fingerprint != rare_first.fingerprint
    found.save(tmp_path)
    read = Codebook.load(tmp_path)
    assert (read.format, read.words, read.fingerprint) == (
        IMPORTANCE_FORMAT,
        found.words,
        found.fingerprint,
    )
    table = tmp_path / "words.tsv"
    assert table.read_text().splitlines()[0].endswith("\timportance")
    table.write_text(table.read_text().replace("611", "612"))
    with pytest.raises(CodebookInvalid, match=r"words\.tsv: its hash is"):
        Codebook.load(tmp_path)
