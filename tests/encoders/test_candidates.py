"""Words that the tagger finds beyond a vocabulary, and how a fit accepts them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.encoders.sample import FIELDS, GROUPS, catalog, category
from tests.icecat import catalog_items

from kae.encoders.items import Item
from kae.encoders.tagger.tagger import Tagger
from kae.encoders.vocabulary.candidates import (
    AcceptedCandidates,
    Candidate,
    CandidatesInvalid,
    count_accepted,
    find_candidates,
    read_candidates,
    sample_items,
    write_candidates,
)
from kae.encoders.vocabulary.fit import learn_vocabulary
from kae.encoders.vocabulary.vocabulary import Form, Vocabulary, WordOrigin

TITLES = [
    "Zorblax Trail Running Shoe for Women, Midnight Blue, 8 M US",
    "Zorblax Road Running Shoe for Men, Crimson, 9 M US",
    "Zorblax Cotton Bath Towel, Midnight Blue",
]


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger()


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return learn_vocabulary(catalog(), GROUPS, FIELDS)


def found(tagger: Tagger, vocabulary: Vocabulary, items: list[Item]) -> dict[str, Candidate]:
    return {one.word: one for one in find_candidates(tagger, items, vocabulary, GROUPS)}


def items_of(titles: list[str], **fields: str | list[str]) -> list[Item]:
    return [Item(str(number), title, fields=fields) for number, title in enumerate(titles)]


# Finding.


def test_what_the_tagger_finds_and_the_vocabulary_does_not_know_is_a_candidate(
    tagger: Tagger, vocabulary: Vocabulary
) -> None:
    candidates = found(tagger, vocabulary, items_of(TITLES))
    zorblax = candidates["zorblax"]
    assert (zorblax.category, zorblax.titles, zorblax.example) == (category("brand"), 3, TITLES[0])
    assert 0.35 <= zorblax.score <= 1
    assert candidates["midnight blue"].titles == 2
    assert "women" not in candidates  # the vocabulary has it
    first, *_ = find_candidates(tagger, items_of(TITLES), vocabulary, GROUPS)
    assert first.word == "zorblax"


def test_what_a_field_says_closes_its_category(tagger: Tagger, vocabulary: Vocabulary) -> None:
    candidates = found(tagger, vocabulary, items_of(TITLES, brand="Zorblax Sports"))
    assert "zorblax" not in candidates
    assert "midnight blue" in candidates


def test_a_word_that_was_taken_up_is_no_candidate_any_more(
    tagger: Tagger, vocabulary: Vocabulary
) -> None:
    items = items_of(TITLES)
    candidates = found(tagger, vocabulary, items)
    words = {one.word: one.category for one in candidates.values()}
    again = learn_vocabulary([*catalog(), *items], GROUPS, FIELDS, words)
    assert found(tagger, again, items) == {}


def test_progress_is_told_to_the_last_title(tagger: Tagger, vocabulary: Vocabulary) -> None:
    told: list[int] = []
    find_candidates(tagger, items_of(TITLES), vocabulary, GROUPS, told.append)
    assert told[-1] == len(TITLES)


# Sampling.


@given(st.lists(st.text(max_size=3), max_size=60), st.integers(1, 20), st.randoms())
def test_the_sample_is_the_same_in_any_order(titles: list[str], most: int, random: object) -> None:
    sampled = [item.title for item in sample_items(items_of(titles), most)]
    assert len(sampled) == min(most, len(set(titles)))
    assert len(set(sampled)) == len(sampled)
    shuffled = list(titles)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert [item.title for item in sample_items(items_of(shuffled), most)] == sampled
    assert sampled == [item.title for item in sample_items(items_of(titles), most + 1)][:most]


# Taking up.


def test_a_candidate_is_counted_in_titles_and_left_out_where_none_says_it() -> None:
    items = catalog_items(1500) + items_of(["Quixomat VGA-cable male/female", "Zorblax"])
    told = {"quixomat": category("brand"), "male female": category("specification")}
    told |= {"brodikern": category("brand")}
    assert not told.keys() & learn_vocabulary(items, GROUPS, FIELDS).dictionary.keys()
    vocabulary = learn_vocabulary(items, GROUPS, FIELDS, told)
    forms = {f.word: (e.category, f) for e in vocabulary.entries for f in e.forms}
    assert forms["quixomat"] == (category("brand"), Form("quixomat", 1, WordOrigin.TAGGER))
    assert forms["male female"][1].items == 1
    assert "brodikern" not in vocabulary.dictionary
    assert count_accepted(vocabulary, told) == AcceptedCandidates(taken=2, known=0, absent=1)


def test_a_candidate_is_trusted_more_than_the_order_of_words_and_less_than_fields_and_lists() -> (
    None
):
    items = items_of(["Zorblax cotton towel"] * 3, brand="Acme")
    guessed = learn_vocabulary(items, GROUPS, FIELDS)
    assert guessed.dictionary["zorblax"] == category("modifier")
    assert guessed.dictionary["cotton"] == category("material")
    told = {"zorblax": category("series"), "cotton": category("series")}
    told |= {"acme": category("series")}
    vocabulary = learn_vocabulary(items, GROUPS, FIELDS, told)
    assert vocabulary.dictionary["zorblax"] == category("series")
    assert vocabulary.dictionary["cotton"] == category("material")
    assert vocabulary.dictionary["acme"] == category("brand")
    assert count_accepted(vocabulary, told) == AcceptedCandidates(taken=1, known=2, absent=0)


def test_a_candidate_is_no_slip_of_another_word() -> None:
    titles = ["Toner Cartridge"] * 40 + ["Desk Lamp"] * 40 + ["Toner Catridge"]
    items = items_of(titles) * 20
    vocabulary = learn_vocabulary(items, GROUPS, {}, {"toner catridge": category("series")})
    assert vocabulary.dictionary["toner catridge"] == category("series")
    assert not [f for e in vocabulary.entries for f in e.misspelled if f.word == "toner catridge"]


def test_a_candidate_that_a_field_says_is_no_slip_either() -> None:
    items = items_of(["thing"] * 40, brand="Canton") + items_of(["thing"], brand="Caanton")
    alone = learn_vocabulary(items, GROUPS, FIELDS)
    assert [f.word for e in alone.entries for f in e.misspelled] == ["caanton"]
    told = learn_vocabulary(items, GROUPS, FIELDS, {"caanton": category("brand")})
    assert not [f.word for e in told.entries for f in e.misspelled]


# The table.


def test_the_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "candidates.tsv"
    brand, color = category("brand"), category("color")
    write_candidates(
        [
            Candidate(brand, "zorblax", 3, 0.987, "Zorblax Shoe"),
            Candidate(color, "midnight blue", 2, 0.9, "Shoe in Midnight Blue"),
            Candidate(color, "zorblax", 1, 0.5, "Zorblax"),
        ],
        file,
    )
    assert file.read_text(encoding="utf-8").splitlines()[:2] == [
        "category\tword\ttitles\tscore\texample",
        "brand\tzorblax\t3\t0.987\tZorblax Shoe",
    ]
    assert read_candidates(file) == {"zorblax": brand, "midnight blue": color}


def test_people_may_write_a_table_of_two_columns(tmp_path: Path) -> None:
    file = tmp_path / "own.tsv"
    file.write_text("\ufeffcategory\tword\r\nbrand\tZorblax-Sports\r\n", encoding="utf-8")
    assert read_candidates(file) == {"zorblax sports": category("brand")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("brand\tzorblax\n", "line 1: .* is no header"),
        ("", "line 1: '' is no header"),
        ("category\tword\nbrnd\tzorblax\n", "line 2: 'brnd' is no category; it is one of entity"),
        ("category\tword\nbrand\n", "line 2: '' is no word"),
        ("category\tword\nbrand\tacme\nspecification\t16 GB\n", "line 3: '16 GB' is no word"),
        ("category\tword\nbrand\tthe\n", "line 2: 'the' is no word"),
    ],
)
def test_what_is_no_table_is_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "candidates.tsv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CandidatesInvalid, match=message):
        read_candidates(file)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CandidatesInvalid, match="no table of candidates"):
        read_candidates(tmp_path / "nowhere.tsv")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CandidatesInvalid, match="no table of candidates"):
        read_candidates(tmp_path / "binary")
