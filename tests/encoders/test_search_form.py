"""One search form for items, queries and terms, and the signs that make a word."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.encoders.sample import FIELDS, GROUPS

from kae.encoders.categories import CATEGORY_INDEX, Slot
from kae.encoders.codebook.codebook import Codebook, CodebookWord
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Item
from kae.encoders.query import BoundTerms, QueryEncoder
from kae.encoders.selector import Selector, compile_selector
from kae.encoders.text.normal_form import WITHOUT_SIGNS, normalise
from kae.encoders.text.search_form import NEWEST_FORM, SearchForm
from kae.encoders.text.spelling import spelling_key

WORD = CodebookWord(CATEGORY_INDEX["entity"], "telefon", 1, 3, True)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("İndirim INDIRIM ındırım indirim", "indirim indirim indirim indirim"),
        ("Προσφορά ΠΡΟΣΦΟΡΑ προσφορά ΔΡΟΜΟΣ δρόμος", "προσφορα προσφορα προσφορα δρομοσ δρομοσ"),
        ("كِتَاب كتـــاب كتاب", "كتاب كتاب كتاب"),
        ("إلكتروني الكتروني أسود آلة", "الكتروني الكتروني اسود اله"),
        ("گوشی گوشي کتاب كتاب ١٢ ۱۲", "گوشي گوشي كتاب كتاب 12 12"),
        ("crème brûlée CRÈME creme\u0300", "creme brulee creme creme"),
        ("Straße STRASSE Grösse Größe", "strasse strasse grosse grosse"),
        ("Ёлка елка йод", "елка елка йод"),
        ("שָׁלוֹם שלום", "שלום שלום"),
        ("không dây Đồng khong day", "khong day dong khong day"),
        ("Żółta łódź Zolta lodz", "zolta lodz zolta lodz"),
        ("Rødgrød Blåbær Œuvre", "rodgrod blabaer oeuvre"),
        ("हेडफ़ोन हेडफोन", "हेडफोन हेडफोन"),
        ("ﾌﾞﾙｰ ブルー ＩＰＨＯＮＥ", "ブ ル ー ブ ル ー iphone"),
    ],
)
def test_spellings_of_one_word_have_one_search_form(text: str, form: str) -> None:
    assert NEWEST_FORM.normalise(text) == form


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("C++, C# and F#; c.", "c++ c# and f# c"),
        ("(C++)C#/J#", "c++ c# j#"),
        ("size: a+, A++ A+++ A++++", "size a+ a++ a+++ a"),
        (".NET, ASP.NET & ado.net", ".net asp .net ado .net"),
        ("Notepad++ C++11", "notepad++ c++ 11"),
        ("Ｃ＋＋ C++入門 中C#", "c++ c++ 入 門 中 c#"),
        ("great! end.Next Wi-Fi a+b 1+1 #1 c#5 S10+", "great end next wi fi a b 1 1 1 c 5 s10"),
        ("node.js AT&T R&B USB-C", "node js at t r b usb c"),
        ("slope.net www.net.com", "slope net www net com"),
    ],
)
def test_signs_that_make_a_word_are_kept(text: str, normal: str) -> None:
    assert normalise(text) == normal
    assert NEWEST_FORM.normalise(text) == normal


@given(st.text(alphabet=st.sampled_from("aCe+#.N nEtT1é\u0301İ中ー") | st.characters()))
def test_the_search_form_of_a_normal_form_is_that_of_the_text(text: str) -> None:
    form = NEWEST_FORM.normalise(text)
    assert NEWEST_FORM.normalise(normalise(text)) == form
    assert NEWEST_FORM.normalise(form) == form


def test_a_shop_keeps_letters_of_its_language() -> None:
    swedish = SearchForm(kept="åäö")
    assert swedish.normalise("Får FAR crème") == "får far creme"


def test_the_first_version_keeps_no_signs_and_folds_no_letters() -> None:
    assert SearchForm(version=WITHOUT_SIGNS).normalise("C++ Crème .NET") == "c crème net"


def test_umlauts_written_as_two_letters_have_the_spelling_of_the_umlaut() -> None:
    key = spelling_key(NEWEST_FORM.normalise("Größe"))
    assert spelling_key("groesse") == spelling_key("grosse") == key
    different = ["poet", "pot", "toe", "to", "queen", "quen", "bauer", "baur"]
    assert len({spelling_key(word) for word in different}) == len(different)


def test_a_term_is_found_under_each_of_its_spellings() -> None:
    encoder = QueryEncoder(Codebook(GROUPS, FIELDS, [WORD]))
    terms = BoundTerms([(7, normalise("Größe Crème"), Slot(1, 90))])
    for query in ("größe crème", "GROESSE CREME", "grösse créme"):
        assert encoder.encode(query, terms).terms == [7]
    assert encoder.encode("grosse", terms).terms == []


def test_terms_that_differ_by_a_sign_are_found_apart() -> None:
    encoder = QueryEncoder(Codebook(GROUPS, FIELDS, [WORD]))
    words = ["C++", "C#", "C", ".NET", "net", "A+", "a"]
    terms = BoundTerms(
        (number, normalise(word), Slot(1, 90 + number)) for number, word in enumerate(words)
    )
    assert [encoder.encode(word, terms).terms for word in words] == [
        [number] for number in range(len(words))
    ]


def test_a_selector_matches_items_under_each_spelling() -> None:
    codebook = Codebook(GROUPS, FIELDS, [WORD], form=SearchForm(kept="å"))
    text = Encoder(codebook).encode(Item("1", "İstanbul Téléfon, blå C++")).text
    assert text == "istanbul telefon blå c++"

    def selects(match: str) -> bool:
        return compile_selector(Selector(match), codebook.form).matches("1", text, ())

    assert [selects(match) for match in ("ISTANBUL", "TÉLÉFON", "Blå c++", "bla", "c")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_a_codebook_remembers_the_letters_that_it_keeps(tmp_path: Path) -> None:
    kept = Codebook(GROUPS, FIELDS, [WORD], form=SearchForm(kept="å"))
    kept.save(tmp_path)
    assert Codebook.load(tmp_path).form == SearchForm(kept="å")
    assert kept.fingerprint != Codebook(GROUPS, FIELDS, [WORD]).fingerprint


@pytest.mark.parametrize(
    ("query", "unknown"),
    [
        ("蓝牙耳机 降噪", ["蓝牙耳机降噪"]),
        ("telefon 蓝牙 zorblax 耳机", ["蓝牙", "zorblax", "耳机"]),
        ("หูฟังบลูทูธ telefon", ["หูฟังบลูทูธ"]),
        ("ﾌﾞﾙｰﾄｩｰｽ 5gb", ["ブルートゥース"]),
    ],
)
def test_unknown_characters_in_a_row_are_one_word(query: str, unknown: list[str]) -> None:
    encoder = QueryEncoder(Codebook(GROUPS, FIELDS, [WORD]))
    assert encoder.encode(query, BoundTerms()).unknown == unknown
