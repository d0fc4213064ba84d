import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.encoders.sample import catalog, category

from kae.encoders.bounded import MAX_ENTRIES, BoundedCache
from kae.encoders.categories import CATEGORIES, EMPTY
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.assign import Encoder, assign
from kae.encoders.extraction.extract import Extractor
from kae.encoders.extraction.mentions import ATTRIBUTES_OF_AN_ITEM
from kae.encoders.items import Attribute, AttributeSource, Item
from kae.encoders.text.normal_form import normalise


def words(codebook: Codebook, identifier: tuple[int, ...]) -> list[str]:
    heads = [codebook.word_at(position, index) for position, index in enumerate(identifier)]
    return [head[1] if head else "-" for head in heads]


def found(attributes: tuple[Attribute, ...]) -> list[tuple[int, str, AttributeSource, float]]:
    return [(each.category, each.word, each.source, each.score) for each in attributes]


@pytest.mark.parametrize(
    ("number", "identifier"),
    [
        (0, ["toner cartridge", "acme", "black", "-", "2pcs", "-"]),
        (2, ["toner cartridge", "acme", "gray", "-", "-", "-"]),
        (3, ["cable", "bolt", "gray", "-", "copper", "-"]),
        (5, ["usb hub", "bolt", "-", "-", "plastic", "-"]),
        (6, ["shoes", "casa", "-", "-", "-", "-"]),
        (7, ["无 线 鼠 标", "-", "黑 色", "-", "-", "-"]),
    ],
)
def test_an_item_becomes_six_words(sample: Codebook, number: int, identifier: list[str]) -> None:
    assert words(sample, Encoder(sample).encode(catalog()[number]).identifier) == identifier


def test_each_attribute_says_where_it_was_found(sample: Codebook) -> None:
    item = Item(
        "1",
        "Acme USB cable, 1.50 m, AB12C",
        description="with a black USB hub... 3 pcs",
        fields={"brand": "Acme", "made_of": ["Copper"], "note": "not mapped"},
    )
    assert found(Extractor(sample).extract(item)) == [
        (category("brand"), "acme", AttributeSource.FIELD, 1.0),
        (category("material"), "copper", AttributeSource.FIELD, 0.95),
        (category("modifier"), "usb", AttributeSource.DICTIONARY, 0.9),
        (category("entity"), "cable", AttributeSource.DICTIONARY, 0.9),
        (category("specification"), "1.5m", AttributeSource.DICTIONARY, 0.9),
        (category("model"), "ab12c", AttributeSource.DICTIONARY, 0.9),
        (category("color"), "black", AttributeSource.DICTIONARY, 0.5),
        (category("entity"), "usb hub", AttributeSource.DICTIONARY, 0.5),
        (category("specification"), "3pcs", AttributeSource.DICTIONARY, 0.5),
    ]


def test_the_surface_is_kept_beside_the_word(sample: Codebook) -> None:
    by_word = {each.word: each.text for each in Extractor(sample).scan("Cable 1.50 M")}
    assert by_word == {"cable": "cable", "1.5m": "1.50 m"}


def test_words_are_found_at_token_boundaries_longest_first(sample: Codebook) -> None:
    scanned = Extractor(sample).scan("cablex toner cartridge uncable cable")
    assert [each.word for each in scanned] == ["toner cartridge", "cable"]


def test_the_order_of_fields_does_not_matter(sample: Codebook) -> None:
    encoder = Encoder(sample)
    fields = {"brand": "Acme", "colour": "Black", "made_of": "PVC"}
    one = encoder.encode(Item("1", "cable", fields=dict(fields)))
    other = encoder.encode(Item("1", "cable", fields=dict(reversed(fields.items()))))
    assert one == other


def test_the_representative_is_the_most_trusted_then_the_one_that_tells_most(
    sample: Codebook,
) -> None:
    def attribute(name: str, word: str, source: AttributeSource, score: float) -> Attribute:
        return Attribute(category(name), word, word, source, score)

    field, scan = AttributeSource.FIELD, AttributeSource.DICTIONARY
    modifier = attribute("modifier", "usb", field, 1.0)
    entity = attribute("entity", "cable", scan, 0.9)
    assert words(sample, assign(sample, [modifier, entity]))[0] == "cable"
    mentioned = attribute("entity", "cable", scan, 0.5)
    assert words(sample, assign(sample, [mentioned, modifier]))[0] == "usb"
    # Two items have a gray (in either spelling), one is cyan, and one is black.
    gray, cyan, black = (
        attribute("color", word, field, score)
        for word, score in (("gray", 1.0), ("cyan", 0.95), ("black", 0.95))
    )
    assert words(sample, assign(sample, [gray, cyan]))[2] == "cyan"
    assert words(sample, assign(sample, [cyan, black]))[2] == "black"
    barely = attribute("color", "cyan", scan, 0.5)
    assert words(sample, assign(sample, [gray, barely]))[2] == "gray"
    # Two cables, three cartridges: the cable tells more.
    common = attribute("entity", "toner cartridge", scan, 0.9)
    assert words(sample, assign(sample, [entity, common]))[0] == "cable"


def test_the_brand_is_said_before_whom_it_is_for(sample: Codebook) -> None:
    found = Encoder(sample).encode(Item("1", "shoes for women", fields={"brand": "Acme"}))
    assert words(sample, found.identifier)[1] == "acme"
    assert {one.word for one in found.attributes} >= {"women", "acme"}


@pytest.mark.parametrize(
    ("title", "found"),
    [
        ("canon holder 67", {("specification", "67")}),
        ("toner 43459435", {("model", "43459435")}),
        ("fiber 62.50", {("specification", "62.5")}),
        ("cable 2 m", {("specification", "2m")}),
        ("كابل ١٢", {("specification", "12")}),
    ],
)
def test_a_number_in_a_title_is_a_word(
    sample: Codebook, title: str, found: set[tuple[str, str]]
) -> None:
    numeric = {"specification", "model"}
    scanned = Extractor(sample).scan(title)
    assert {
        (CATEGORIES[one.category], one.word)
        for one in scanned
        if CATEGORIES[one.category] in numeric
    } == found
    (of_description,) = Extractor(sample).find([Item("1", "", title)])[1]
    described = {one.attribute.word for one in of_description}
    assert not described & {"67", "43459435", "62.5"}


def test_an_unknown_word_leaves_its_position_empty(sample: Codebook) -> None:
    encoded = Encoder(sample).encode(Item("1", "zorblax"))
    assert encoded.identifier == EMPTY
    assert encoded.text == "zorblax"


@pytest.mark.parametrize(
    "title",
    [
        "",
        " ",
        "\x00\x1f",
        "👍🏽❤️",
        "מכונת קפה",
        "Acme \u202ekcalb",
        "罗技" * 200,
        "\ud800",
        "." * 999,
    ],
)
def test_any_title_is_encoded(sample: Codebook, title: str) -> None:
    encoded = Encoder(sample).encode(Item("1", title))
    assert encoded.title == title
    assert encoded.text == normalise(title)


def test_a_huge_item_has_a_bounded_number_of_attributes(sample: Codebook) -> None:
    title = " ".join(f"ab{number}c toner cartridge" for number in range(5000))
    values = [f"kind {'abcdefghij'[number % 10]}{number}" for number in range(5000)]
    item = Item("1", title, description=title, fields={"kind": values, "made_of": "x " * 50_000})
    encoded = Encoder(sample).encode(item)
    assert len(title) > 100_000
    assert len(encoded.attributes) == ATTRIBUTES_OF_AN_ITEM
    assert encoded.text == normalise(f"{title} {title}")


def test_items_encoded_together_are_as_if_alone(sample: Codebook) -> None:
    items = [
        Item("1", "toner", "cartridge 16"),
        Item("2", "gb cable 16", "gb 12 fl"),
        Item("3", "", ""),
        Item("4", "oz usb", "hub 2.50 m"),
        Item("5", "\0 cable \0", "\n\0"),
    ]
    encoder = Encoder(sample)
    assert encoder.encode_all(items) == [encoder.encode(item) for item in items]
    words = [{found.word for found in encoded.attributes} for encoded in encoder.encode_all(items)]
    assert words == [set(), {"cable", "16"}, set(), {"usb", "2.5m"}, {"cable"}]


def test_a_cache_forgets_what_it_can_make_again() -> None:
    made: list[int] = []

    def make(key: int) -> int:
        made.append(key)
        return key + 1

    cache = BoundedCache[int, int](make)
    assert [cache[key] for key in range(MAX_ENTRIES + 1)][-1] == MAX_ENTRIES + 1
    assert len(cache) == 1
    assert cache[MAX_ENTRIES] == MAX_ENTRIES + 1
    assert len(made) == MAX_ENTRIES + 1


@settings(max_examples=200, deadline=None)
@given(st.text(), st.text(), st.dictionaries(st.sampled_from(["brand", "kind", "x"]), st.text()))
def test_encoding_is_a_pure_function(
    sample: Codebook, title: str, description: str, fields: dict[str, str]
) -> None:
    item = Item("1", title, description, dict[str, str | list[str]](fields))
    encoded = Encoder(sample).encode(item)
    assert encoded == Encoder(sample).encode(item)
    assert encoded.text == normalise(f"{title} {description}")
    assert encoded.attributes == Extractor(sample).extract(item)
    keys = [(each.category, each.word) for each in encoded.attributes]
    assert len(keys) == len(set(keys))
    assert all(normalise(each.word) == each.word for each in encoded.attributes)
    for position, index in enumerate(encoded.identifier):
        assert index == 0 or sample.word_at(position, index) is not None
