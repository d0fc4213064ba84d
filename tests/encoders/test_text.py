import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kae.encoders.text.normal_form import END, contains_phrase, normalise, tokens_of, tokens_of_all


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("", ""),
        (" \t\n!?", ""),
        ("Ultima™ HD-15, 1.5m", "ultima hd 15 1.5m"),
        ("PS/2 & 802.11n v.2 end.", "ps 2 802.11n v 2 end"),
        ("Straße ﬁ ① ÉTÉ", "strasse fi 1 été"),
        ("ｶﾞ ＡＢＣ１", "ガ abc1"),
        ("中文abc", "中 文 abc"),
        ("무선 마우스", "무 선 마 우 스"),
        ("ไทย", "ไ ท ย"),
        ("हिन्दी", "हिन्दी"),
        ("שָׁלוֹם עולם", "שָׁלוֹם עולם"),
        ("هاتف ذكي", "هاتف ذكي"),
        ("co\u00adop\u200b zero\ufeff", "coop zero"),
        ("a\x00b\x1fc\x7fd", "a b c d"),
        ("❤️ 👍🏽 wow", "wow"),
        ("\ud800 lone", "lone"),
        ("\u0301accent", "accent"),
    ],
)
def test_a_text_has_one_normal_form(text: str, normal: str) -> None:
    assert normalise(text) == normal


@given(st.text())
@example("\u0345\u0301 .5.. 1.\u03012 ๑.๒")
@example("1.2.3 ǰ ΐ ẛ̣ ﷺ ½ ´a")
def test_a_normal_form_is_its_own(text: str) -> None:
    normal = normalise(text)
    assert normalise(normal) == normal
    assert normal == " ".join(normal.split())
    assert all(re.search(r"\w", token) for token in normal.split())


@given(st.text(alphabet=st.characters(codec="ascii")))
def test_ascii_takes_the_short_way_to_the_same_form(text: str) -> None:
    assert normalise(text) == normalise(f"{text} é").removesuffix("é").rstrip()


@given(st.text(), st.text())
def test_two_texts_are_normal_together_as_apart(title: str, description: str) -> None:
    # A number may go on behind a space, as in 1 ½, but not behind a bar.
    together = normalise(f"{title} | {description}")
    assert together == f"{normalise(title)} {normalise(description)}".strip()


def test_a_long_text_stays_whole() -> None:
    assert normalise("Ab, " * 25_000) == " ".join(["ab"] * 25_000)


@pytest.mark.parametrize(
    ("phrase", "is_in"),
    [("toner", True), ("black toner", True), ("one", False), ("toner black", False), ("", False)],
)
def test_a_phrase_is_found_at_token_boundaries(phrase: str, is_in: bool) -> None:
    assert contains_phrase("black toner cartridge", phrase) is is_in


def test_a_phrase_without_spaces_is_found_inside_a_sentence() -> None:
    assert contains_phrase(normalise("罗技无线鼠标黑色"), normalise("鼠标"))


@given(st.lists(st.text(alphabet=st.sampled_from("a1.\0\xff\x1c ™中\ud800é") | st.characters())))
@example(["1.", ".5", "", "\0", "1\x005"])
def test_texts_normalised_together_are_as_if_alone(texts: list[str]) -> None:
    assert tokens_of_all(texts) == [token for text in texts for token in (*tokens_of(text), END)]
