import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.encoders.sample import category

from kae.encoders.text.bundled_words import bundled_words
from kae.encoders.text.measures import canonical
from kae.encoders.text.normal_form import normalise
from kae.encoders.text.spelling import spelling_key
from kae.encoders.text.values import WORDS_OF_A_VALUE, words_of


@pytest.mark.parametrize(
    ("word", "one"),
    [
        ("16 gb", "16gb"),
        ("16.0 gb", "16gb"),
        ("1.50m", "1.5m"),
        ("16.0", "16"),
        ("6 fl oz", "6fl oz"),
        ("usb 2.0", "usb 2.0"),
        ("16 of them", "16 of them"),
    ],
)
def test_a_measure_has_one_spelling(word: str, one: str) -> None:
    assert canonical(word) == one
    assert canonical(one) == one


@given(st.text())
def test_a_canonical_word_is_its_own(text: str) -> None:
    word = canonical(normalise(text))
    assert canonical(word) == word


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cable", "cables"),
        ("battery", "batteries"),
        ("box", "boxes"),
        ("grey", "gray"),
        ("wi fi", "wifi"),
        ("toner cartridges", "toner cartridge"),
    ],
)
def test_spellings_of_one_word_are_one(one: str, other: str) -> None:
    assert spelling_key(one) == spelling_key(other)


@pytest.mark.parametrize("word", ["glass", "bus", "lens", "series", "iris"])
def test_what_only_looks_like_a_plural_stays(word: str) -> None:
    assert spelling_key(word) == word


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("USB 2.0, HDMI; Wi-Fi", ["usb 2.0", "hdmi", "wi fi"]),
        ("- Epson Stylus\\n- Epson 300", ["epson stylus", "epson 300"]),
        ("IEEE 802.3,IEEE 802.5", ["ieee 802.3", "ieee 802.5"]),
        ("True", []),
        ("N", []),
        ("Not available", []),
        ("16.0", []),
        ("one two three four five six seven words", []),
        ("棉，羊毛", ["棉", "羊 毛"]),
        ("", []),
    ],
)
def test_a_value_gives_its_words(value: str, words: list[str]) -> None:
    assert [word for word, _ in words_of(value, category("function"))] == words


def test_a_number_is_a_word_of_a_specification_only() -> None:
    assert [word for word, _ in words_of("16.0", category("specification"))] == ["16"]


def test_a_value_gives_a_bounded_number_of_words() -> None:
    value = ";".join(f"word{letter}{n}" for letter in "ab" for n in range(100))
    assert len(list(words_of(value, category("function")))) == WORDS_OF_A_VALUE


def test_the_bundled_words_are_in_normal_form() -> None:
    assert [word for word in bundled_words() if normalise(word) != word] == []
    assert bundled_words()["navy blue"] == category("color")
    assert bundled_words()["women"] == category("audience")
