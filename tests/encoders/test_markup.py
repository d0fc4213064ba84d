"""HTML in titles, descriptions and fields is read as the text that a browser shows."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.encoders.sample import FIELDS, GROUPS

from kae.encoders.catalog_reader import CatalogReader
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.extraction.literal import LiteralExtractor
from kae.encoders.fitting.build import build_codebook
from kae.encoders.items import Item
from kae.encoders.text.markup import plain_items, plain_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<div style="color: red"><p class="silver">Glazed</p><br/>Nice&nbsp;shape</div>',
         "Glazed\nNice\xa0shape"),
        ("Black &amp; Decker drill &#8211; 18&nbsp;V", "Black & Decker drill – 18\xa0V"),
        ('Cover <img src="//x/usb-keyboard.png"> <a href="//x/hp/laptop">more</a>', "Cover\nmore"),
        ("<style>p{color:red}</style>Bowl<script>'<p>blue'</script>", "Bowl"),
        ("<li>one<li>two<td>three</td>four", "one\ntwo\nthree\nfour"),
        ("<b>Pro</b>file in <i>one</i> w<wbr>ord", "Profile in one word"),
        ("&amp;#8211; &amp;amp;#8211; &amp;lt;b&amp;gt;Big", "– – Big"),
        ("&lt;p&gt;Red&lt;/p&gt;&lt;style&gt;blue{}&lt;/style&gt;", "Red"),
        ("<![CDATA[<b>Big</b> deal]]>", "Big deal"),
        ("A<!-- red <b> -->B", "AB"),
        ('cut off <img src="https://x/blue', "cut off"),
        ("a\x00<b>c</b>", "a c"),
    ],
)  # fmt: skip
def test_html_becomes_its_text(html: str, text: str) -> None:
    assert plain_text(html) == text


@pytest.mark.parametrize(
    "text",
    ["a < b", "I <3 you", "5 <10 mm", "R&D", "AT&T H&M", "x<y and z", "if a<b then", "<New> cup",
     "salt&copy", "<", "&", "&;", "<>", "1 < 2 > 0"],
)  # fmt: skip
def test_what_only_looks_like_html_stays(text: str) -> None:
    assert plain_text(text) == text


@given(st.text(alphabet=st.sampled_from("<>/&;#=\"' pbrlt8stylecipm!-") | st.characters()))
def test_text_alone_stays_as_it_is(text: str) -> None:
    once = plain_text(text)
    if "&" not in once:
        assert plain_text(once) == once


def test_items_without_markup_are_not_made_anew() -> None:
    item = Item("1", "R and D", "plain", {"brand": "hp"})
    assert plain_items([item])[0] is item


def test_no_word_of_an_item_comes_from_tags(tmp_path: Path) -> None:
    fields: dict[str, str | list[str]] = {"colour": "<b>Red</b><br>Blue", "brand": "B&amp;O"}
    items = [
        Item("1", "Bowl &#8211; <b>glazed</b>", '<p style="color:green">Silver</p>', fields),
        Item("2", "Green laptop", "", {"colour": "green"}),
    ]
    codebook = build_codebook(lambda: items, GROUPS, FIELDS, tmp_path)
    words = {word.word for word in codebook.words}
    assert {"red", "blue", "b o", "bowl"} <= words
    assert not words & {"8211", "style", "p style", "b", "br"}
    encoded = Encoder(codebook).encode(items[0])
    assert (encoded.title, encoded.text) == ("Bowl – glazed", "bowl glazed silver")
    assert {found.word for found in encoded.attributes}.isdisjoint({"green"})


def test_literal_values_are_parts_of_the_text() -> None:
    (found,) = LiteralExtractor(Codebook(GROUPS, FIELDS, ()), None).extract(
        [Item("1", "x", "", {"colour": "Light&nbsp;<i>Blue</i>"})]
    )
    assert [(one.word, one.text) for one in found] == [("light blue", "Light\xa0Blue")]


def test_a_catalog_is_read_as_text() -> None:
    assert [item.title for item in CatalogReader(lambda: [Item("1", "A &amp; B")])] == ["A & B"]


@pytest.mark.parametrize("piece", ["<div>", "<b>", "<a href=", "<!--", "&", "<", "&lt;", "<svg>"])
def test_hostile_markup_takes_less_than_some_seconds(piece: str) -> None:
    began = time.perf_counter()
    plain_text(piece * (262_144 // len(piece)))
    assert time.perf_counter() - began < 5
