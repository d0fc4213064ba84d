"""Numbers and units as people write them; each right value is worked out by hand."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.encoders.sample import GROUPS, category

from kae.encoders.codebook.codebook import Codebook, CodebookWord
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Item
from kae.encoders.query import BoundTerms, QueryEncoder
from kae.encoders.tagger.spans import widen_to_numbers
from kae.encoders.text.decimal_mark import find_decimal_mark
from kae.encoders.text.measures import canonical
from kae.encoders.text.normal_form import END, normalise, tokens_of_all
from kae.encoders.text.numbers import number_spans
from kae.encoders.text.search_form import SearchForm
from kae.encoders.text.spelling import spelling_key
from kae.encoders.text.surfaces import surface_of
from kae.encoders.text.units import units
from kae.encoders.text.values import words_of

COMMA = SearchForm(decimal_mark=",")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("3,500 pages", "3500pages"),
        ("30,000 pages", "30000pages"),
        ("30,5 m", "30.5m"),
        ("1/4in", "0.25in"),
        ("10.000 mAh", "10000mah"),
        ("10,000 mAh", "10000mah"),
        ("20,100mAh", "20100mah"),
        ("0,5m", "0.5m"),
        ("1½ inch", "1.5inch"),
        ("1 1/2 inch", "1.5inch"),
        ('1 1/2"', "1.5inch"),
        ("1-1/2 inch", "1.5inch"),
        ('27"', "27inch"),
        ("12”", "12inch"),
        ("7''", "7inch"),
        ('3.5"', "3.5inch"),
        ('¾"', "0.75inch"),
        ("1.5 Zoll", "1.5inch"),
        ("1,5 Zoll", "1.5inch"),
        ("5,5-Zoll", "5.5inch"),
        ("3/8-inch", "0.375inch"),
        ("6'", "6ft"),
        ("½ l", "0.5l"),
        ("1.7 liter", "1.7l"),
        ("1,7 Litre", "1.7l"),
        ("1.500 Seiten", "1500pages"),
        ("8,000-Page", "8000pages"),
        ("1.234,56 g", "1234.56g"),
        ("1,234.56 g", "1234.56g"),
        ("1.000.000 pcs", "1000000pcs"),
        ("1\u00a0000 g", "1000g"),
        ("1\u202f250,5 g", "1250.5g"),
        ("1'000 ml", "1000ml"),
        ("1’000 ml", "1000ml"),
        ("-20°C", "-20c"),
        ("\u22125 °C", "-5c"),
        ("-48V", "-48v"),
        ("10 µF", "10μf"),
        ("10\u03bcF", "10μf"),
        ("5 Ω", "5ohm"),
        ("20m²", "20m2"),
        ("5 cm³", "5cm3"),
        ("٣٥٠٠ pages", "3500pages"),
        ("٣٫٥ kg", "3.5kg"),
        ("３，５００ pages", "3500pages"),
        ("1,500 kg", "1500kg"),
        ("1.500 kg", "1.5kg"),
        ("2.135 m", "2.135m"),
    ],
)
def test_a_measure_is_read_as_a_person_reads_it(text: str, word: str) -> None:
    assert canonical(normalise(text)) == word
    assert [found for found, _ in words_of(text, category("specification"))] == [word]


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("10.15.7", "10.15.7"),
        ("192.168.100.200", "192.168.100.200"),
        ("1.234.567", "1.234.567"),
        ("1:30", "1 30"),
        ("16:9", "16 9"),
        ("01.02.2024", "01.02.2024"),
        ("1/2/2024", "1 2 2024"),
        ("AB-1,000", "ab 1 000"),
        ("1,2,3", "1 2 3"),
        ("10,100,1000", "10 100 1000"),
        ("100,200,300", "100 200 300"),
        ("640x400,800x600", "640x400 800x600"),
        ("1x16,2x8", "1x16 2x8"),
        ("Lens 55/72/8", "lens 55 72 8"),
        ("50/125μm", "50 125μm"),
        ("2/3 Dual", "2 3 dual"),
        ("10-12 mm", "10 12 mm"),
        ("2 x 500ml", "2 x 500ml"),
        ("80's rock", "80 s rock"),
        ('"iPhone 5" case', "iphone 5 case"),
        ("'iPhone 5' case", "iphone 5 case"),
        ('TV -30" Screen', "tv 30 inch screen"),
        ("1e3", "1e3"),
        ("a\x02b \x0220c", "a b 20c"),
    ],
)
def test_what_is_no_such_number_stays(text: str, normal: str) -> None:
    assert normalise(text) == normal


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("1.234.567,89", "1234567.89"),
        ("1,234,567", "1234567"),
        ("30,000*", "30000"),
        ("5' 10\"", "5 ft 10 inch"),
        ('27"x30"', "27 inch x30 inch"),
        ('1/2"-13', "0.5 inch 13"),
        ("M6x1,0", "m6x1.0"),
        ("63,5x38 mm", "63.5x38 mm"),
        ("62,5/125µm", "62.5 125μm"),
        ("-20 to 60°C", "-20c to 60c"),
        ("-20...+60°C", "-20c 60c"),
        ('TV 27" "Pro"', "tv 27 inch pro"),
        ('1/2.3" sensor', "1 2.3 inch sensor"),
        ("1.250/1,500 kg", "1.250 1500 kg"),
        ("3/1/2 in", "3 1 2 in"),
        ('5 "Pro" cables', "5 pro cables"),
        ("½", "0.5"),
    ],
)
def test_numbers_are_read_inside_a_text(text: str, normal: str) -> None:
    assert normalise(text) == normal


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("1.500 kg", "1500kg"),
        ("1,500 kg", "1.5kg"),
        ("1,125 kg", "1.125kg"),
        ("1,500 pages", "1500pages"),  # nobody prints half a page
        ("0.512 MB", "0.512mb"),  # no thousands begin with 0
        ("5,5", "5.5"),
        ("1,2,3", "1 2 3"),
    ],
)
def test_the_catalogs_decimal_mark_decides_what_is_open(text: str, word: str) -> None:
    normal = COMMA.normalise(text)
    assert canonical(normal) == word
    assert COMMA.normalise(normal) == normal


_MARKS = st.text(alphabet=st.sampled_from("0123456789,.'/\"-x ½m°CV\u00a0"), max_size=24)


@given(_MARKS)
@example("1½00 8.46½ -33/8C")
@example("1,125 m -20...-5°C 1 1/2\" 5' 0.5,000 1,000.5")
def test_a_number_that_was_read_stays(text: str) -> None:
    normal = normalise(text)
    assert normalise(normal) == normal


@given(st.integers(0, 999_999_999), st.integers(0, 4))
def test_a_number_with_a_decimal_comma_has_its_value(digits: int, decimals: int) -> None:
    value = Decimal(digits).scaleb(-decimals)
    text = f"{value:,.{decimals}f} m".translate(str.maketrans(",.", ".,"))
    normal = COMMA.normalise(text)
    assert Decimal(normal.removesuffix(" m")) == value
    assert COMMA.normalise(normal) == normal


@given(st.lists(_MARKS))
def test_numbers_of_many_texts_are_read_as_if_alone(texts: list[str]) -> None:
    alone = [token for text in texts for token in (*normalise(text).split(), END)]
    assert tokens_of_all(texts) == alone


@pytest.mark.parametrize(
    ("texts", "mark"),
    [
        (["Kabel 30,5 m", "Dose 1.234,5 g", "Seil 2,5 m", "Rope 2.5 m"], ","),
        (["Cable 30.5 m", "Tin 1,234.5 g", "Seil 2,5 m"], "."),
        (["Sizes 1,2 and 3,4", "1.500 kg", "1,500 kg"], "."),  # none of them says anything
    ],
)
def test_the_decimal_mark_is_found_from_numbers_that_leave_no_doubt(
    texts: list[str], mark: str
) -> None:
    assert find_decimal_mark(texts) == mark


def test_no_spelling_belongs_to_two_units() -> None:
    names = {unit.name for unit in units().values()}
    assert sum(len(units()[name].spellings) for name in names) == len(units())


def test_inches_are_one_spelling() -> None:
    keys = {spelling_key(canonical(normalise(text))) for text in ('27"', "27in", "27 Zoll")}
    assert keys == {spelling_key("27 inch")}


@pytest.mark.parametrize(
    ("text", "words", "surface"),
    [
        ("Toner 3,500 pages black", "3500 pages", "3,500 pages"),
        ("Powerbank 10.000 mAh", "10000 mah", "10.000 mAh"),
        ('Pipe 1 1/2" steel', "1.5 inch", '1 1/2"'),
        ("Thermo -20 °C", "-20c", "-20 °C"),
    ],
)
def test_a_number_has_the_surface_that_it_was_read_from(
    text: str, words: str, surface: str
) -> None:
    assert surface_of(text, words) == surface


@pytest.mark.parametrize(
    ("text", "found", "widened"),
    [
        ("Toner 3,500 pages", "500 pages", "3,500 pages"),
        ("Tinte 1.500 Seiten", "1.500", "1.500 Seiten"),
        ("Pipe 1 1/2 inch", "2 inch", "1 1/2 inch"),
        ("Toner black 500 pages", "black", "black"),
    ],
)
def test_a_tagged_value_does_not_cut_a_number(text: str, found: str, widened: str) -> None:
    begin = text.index(found)
    begin, end = widen_to_numbers(number_spans(text), begin, begin + len(found))
    assert text[begin:end] == widened


def test_every_spelling_of_a_measure_finds_its_slot() -> None:
    word = CodebookWord(category("specification"), "27inch", 1, 5, True)
    codebook = Codebook(GROUPS, {}, [word])
    items = ['Monitor 27" black', "Monitor 27in", "Monitor 27 Zoll", "Monitor 27 inch"]
    slot = codebook.slot_of(word.category, word.word)
    assert slot is not None
    encoder, queries = Encoder(codebook), QueryEncoder(codebook)
    for text in items:
        assert encoder.encode(Item("1", text)).identifier[slot.position] == slot.index
        query = queries.encode(text, BoundTerms())
        assert any(slot in clause.slots for clause in query.clauses), text


def test_a_codebook_reads_numbers_as_its_catalog_writes_them(tmp_path: Path) -> None:
    Codebook(GROUPS, {}, [], form=COMMA).save(tmp_path)
    assert Codebook.load(tmp_path).form == COMMA
    assert COMMA.normalise("1.500 kg") == "1500 kg"
