"""A codebook with a tagger: titles are read where fields and dictionary leave categories open."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.encoders.sample import FIELDS, GROUPS, category

from kae.encoders.categories import Slot
from kae.encoders.codebook.codebook import Codebook, CodebookWord, TaggerMissing
from kae.encoders.extraction.assign import Encoder, assign
from kae.encoders.extraction.title_reader import load_tagger
from kae.encoders.fitting.build import build_codebook
from kae.encoders.items import Attribute, AttributeSource, Item
from kae.encoders.tagger.labelled import read_titles
from kae.encoders.tagger.weights import PACKAGED, TaggerSource, load_weights, save_weights
from kae.encoders.text.search_form import NEWEST_FORM

SHOE = "Zorblax Women's Trail Running Shoe, Midnight Blue, 8 M US"
HARD = (
    "",
    "\x00\x07 Acme\x1b[31m Tea\x7f, 20 ct",
    "Grüner Tee ☕️🍵 50 Beutel 👩‍👩‍👧‍👦",
    "شاي أخضر من أكمي، 100 غرام",
    "罗技 无线鼠标 黑色",
    "\ud800 lone, black",
    "Acme \u202ekcalb",
    "Acme Organic Green Tea, 20 Count (Pack of 6) " * 2300,
)
ITEMS = [
    *(Item(f"hard-{number}", title, title) for number, title in enumerate(HARD)),
    *(Item(f"{number}", title.text) for number, title in enumerate(read_titles()[::60])),
]


@pytest.fixture(autouse=True)
def nothing_read_before() -> Iterator[None]:
    """The tagger that codebooks share keeps what it has read."""
    load_tagger.cache_clear()
    yield
    load_tagger.cache_clear()


@pytest.fixture(scope="module")
def full() -> Codebook:
    words = [
        CodebookWord(category("entity"), "shoe", 1, 5, True),
        CodebookWord(category("color"), "midnight blue", 1, 5, False),
        CodebookWord(category("color"), "red", 2, 5, True),
    ]
    return Codebook(GROUPS, FIELDS, words, 10, tagger=TaggerSource.of(PACKAGED))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> TaggerSource:
    """A tagger that kae does not carry."""
    folder = tmp_path_factory.mktemp("tagger")
    carried = load_weights(PACKAGED)
    save_weights(folder, carried.kinds, carried.pieces, carried.tensors, {"made": "for a test"})
    return TaggerSource.of(folder)


def test_what_is_open_is_read_from_the_title(full: Codebook) -> None:
    encoded = Encoder(full).encode(Item("1", SHOE, fields={"brand": "Acme"}))
    by_category = {each.category: each for each in encoded.attributes}
    assert by_category[category("brand")].word == "acme"
    assert by_category[category("entity")].source == AttributeSource.DICTIONARY
    color = by_category[category("color")]
    assert (color.word, color.source) == ("midnight blue", AttributeSource.TAGGER)
    assert 0.35 <= color.score <= 1
    assert full.word_at(2, encoded.identifier[2]) == (category("color"), "midnight blue")


def test_a_word_without_a_slot_is_an_attribute_all_the_same(full: Codebook) -> None:
    encoded = Encoder(full).encode(Item("1", SHOE))
    assert (category("brand"), "zorblax") in {
        (each.category, each.word) for each in encoded.attributes
    }
    assert encoded.identifier[1] == 0


def test_an_item_that_says_what_is_required_is_not_read(full: Codebook) -> None:
    fields: dict[str, str | list[str]] = {"brand": "Acme", "kind": "boot", "colour": "red"}
    encoded = Encoder(full).encode(Item("1", SHOE, fields=fields))
    assert all(each.source != AttributeSource.TAGGER for each in encoded.attributes)


def test_a_tagged_word_represents_only_where_the_dictionary_has_none() -> None:
    words = [CodebookWord(category(kind), word, at, 1, True) for kind, word, at in (
        ("entity", "shoe", 1), ("modifier", "trail", 2),
    )]  # fmt: skip
    codebook = Codebook(GROUPS, FIELDS, words)
    sure = Attribute(category("entity"), "shoe", "shoe", AttributeSource.TAGGER, 0.99)
    listed = Attribute(category("modifier"), "trail", "trail", AttributeSource.DICTIONARY, 0.5)
    assert assign(codebook, [sure, listed])[0] == 2
    assert assign(codebook, [sure])[0] == 1


@pytest.mark.parametrize("size", [1, 7, 64])
def test_the_same_text_gives_the_same_words_in_any_batch(full: Codebook, size: int) -> None:
    alone = Encoder(full)
    one_by_one = [alone.encode(item) for item in ITEMS]
    load_tagger.cache_clear()
    encoder = Encoder(full)
    batches = [ITEMS[begin : begin + size] for begin in range(0, len(ITEMS), size)]
    assert [one for batch in batches for one in encoder.encode_all(batch)] == one_by_one


@pytest.mark.parametrize("title", HARD)
def test_any_title_is_encoded_and_without_a_tagger_nothing_is_different(
    full: Codebook, title: str
) -> None:
    light = Codebook(GROUPS, FIELDS, full.words, 10)
    item = Item("1", title, title)
    read, plain = Encoder(full).encode(item), Encoder(light).encode(item)
    assert read.text == plain.text == NEWEST_FORM.normalise(f"{title} {title}")
    known = [each for each in read.attributes if each.source != AttributeSource.TAGGER]
    assert tuple(known) == plain.attributes
    closed = {each.category for each in plain.attributes}
    tagged = [each for each in read.attributes if each.source == AttributeSource.TAGGER]
    assert closed.isdisjoint(each.category for each in tagged)
    assert all(NEWEST_FORM.normalise(each.word) == each.word for each in tagged)


def test_each_word_has_one_slot_and_each_slot_its_words(full: Codebook) -> None:
    for word in full.words:
        slot = full.slot_of(word.category, word.word)
        assert slot == Slot(full.position_of(word.category), word.index)
        assert full.word_at(slot.position, slot.index) == (word.category, word.word)


def test_building_with_a_tagger_gives_its_words_slots(tmp_path: Path) -> None:
    items = [Item("1", SHOE), Item("2", f"{SHOE} pair"), Item("3", "Zorblax tea")]
    tagger = TaggerSource.of(PACKAGED)
    built = build_codebook(lambda: items, GROUPS, FIELDS, tmp_path / "full", None, tagger)
    assert built.slot_of(category("brand"), "zorblax") is not None
    light = build_codebook(lambda: items, GROUPS, FIELDS, tmp_path / "light")
    assert light.slot_of(category("brand"), "zorblax") is None
    assert built.fingerprint != light.fingerprint
    again = Codebook.load(tmp_path / "full")
    assert (again.fingerprint, again.tagger) == (built.fingerprint, tagger)
    assert not (tmp_path / "full" / "tagger").exists()


def test_a_tagger_that_kae_does_not_carry_travels_with_the_codebook(
    other: TaggerSource, tmp_path: Path
) -> None:
    Codebook(GROUPS, FIELDS, (), tagger=other).save(tmp_path)
    loaded = Codebook.load(tmp_path)
    assert loaded.tagger == TaggerSource(tmp_path / "tagger", other.fingerprint)
    assert Encoder(loaded).encode(Item("1", SHOE)).attributes


def test_a_codebook_whose_tagger_is_not_at_hand_is_refused(
    other: TaggerSource, tmp_path: Path
) -> None:
    Codebook(GROUPS, FIELDS, (), tagger=other).save(tmp_path)
    weights = tmp_path / "tagger" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(TaggerMissing, match=r"copy that tagger's folder to .*/tagger"):
        Codebook.load(tmp_path)
    weights.unlink()
    with pytest.raises(TaggerMissing, match=r"cannot be loaded .*weights\.safetensors"):
        Codebook.load(tmp_path)
    shutil.rmtree(tmp_path / "tagger")
    with pytest.raises(TaggerMissing, match=load_weights(PACKAGED).fingerprint):
        Codebook.load(tmp_path)
