"""A mapping is proposed for feeds that nobody has mapped, and is the topology's as it stands."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.icecat import CATALOG
from tests.streams.test_catalog_reading import written
from tests.streams.unmapped_feeds import (
    german_fashion,
    groceries,
    japanese_goods,
    spanish_tools,
)

from kae.encoders.fields.names import meaning_of
from kae.encoders.fields.profile import FieldProfile
from kae.encoders.fields.proposal import propose_category
from kae.streams.catalog.inspect import CatalogInspected, inspect_feeds
from kae.streams.catalog.rows import read_items
from kae.streams.errors import CatalogInvalid
from kae.streams.topology.types import REFERENCE, Topology

GROUPS = Topology.load().codebook_groups


def mapping(found: CatalogInspected) -> dict[str, str]:
    return {field.field: field.category for field in found.fields if field.category}


def pasted(found: CatalogInspected, folder: Path) -> Topology:
    """The reference topology with its catalog section replaced by the proposed text."""
    text = REFERENCE.read_text(encoding="utf-8")
    before, _, rest = text.partition("catalog:\n")
    after = rest[rest.index("\n# The 18 categories") :]
    path = folder / "mine.yaml"
    path.write_text(f"{before}{found.yaml}{after}", encoding="utf-8")
    return Topology.load(path)


@pytest.mark.parametrize("feed", [german_fashion, groceries, japanese_goods, spanish_tools])
def test_the_proposal_is_a_topology_as_it_stands(
    feed: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = feed(tmp_path)
    found = inspect_feeds([path], GROUPS)
    topology = pasted(found, tmp_path)
    proposed = yaml.safe_load(found.yaml)["catalog"]
    assert topology.catalog.model_dump(exclude_unset=True) == found.catalog == proposed
    items = list(read_items([path], topology.catalog))
    assert len(items) == found.items > 30
    assert found.with_title_share >= found.items / found.rows
    assert len(found.sample.words) == 6
    assert found.expected_positions >= 3
    assert any(word.word for word in found.sample.words)


def test_a_german_shop(tmp_path: Path) -> None:
    found = inspect_feeds([german_fashion(tmp_path)], GROUPS)
    roles = [found.catalog[role] for role in ("id", "title", "description")]
    assert roles == ["Artikelnummer", "Bezeichnung", "Langtext"]
    assert found.catalog["separator"] == "|"
    assert mapping(found) == {
        "Warengruppe": "entity",
        "Hersteller": "brand",
        "Hauptfarbe": "color",
        "Obermaterial": "material",
        "Konfektionsgröße": "specification",
        "Zielgruppe": "audience",
        "Saison": "season",
        "Preis": "price",
    }
    words = {word.group: word.word for word in found.sample.words}
    assert words["color-marketing"] in {"weiss", "dunkelgrün", "rot", "schwarz"}
    picture = next(field for field in found.fields if field.field == "Bild-URL")
    assert "address" in picture.why


def test_groceries_with_other_column_names(tmp_path: Path) -> None:
    found = inspect_feeds([groceries(tmp_path)], GROUPS)
    assert (found.catalog["id"], found.catalog["title"]) == ("upc", "display_name")
    assert found.sample.id.startswith("9007199254")
    assert mapping(found) == {
        "aisle": "entity",
        "maker": "brand",
        "net content": "specification",
        "flavour": "modifier",
        "made in": "location",
        "ingredients": "material",
    }
    why = {field.field: field.why for field in found.fields}
    assert "yes or no" in why["organic"]


def test_japanese_names_and_values(tmp_path: Path) -> None:
    found = inspect_feeds([japanese_goods(tmp_path)], GROUPS)
    roles = ("id", "title", "description", "popularity")
    expected = ["商品コード", "商品名", "商品説明", "販売数"]
    assert [found.catalog[role] for role in roles] == expected
    assert mapping(found) == {
        "カテゴリ": "entity",
        "カラー": "color",
        "素材": "material",
        "産地": "location",
        "柄": "pattern",
    }
    assert found.sample.id.isdigit()


def test_names_that_say_nothing_are_proposed_by_their_values(tmp_path: Path) -> None:
    found = inspect_feeds([spanish_tools(tmp_path)], GROUPS)
    assert (found.catalog["id"], found.catalog["title"]) == ("clave", "texto")
    proposed = mapping(found)
    assert proposed["x7"] == "color"
    assert proposed["marca del producto"] == "brand"
    assert proposed["Color principal"] == "color"
    assert proposed["Tensión"] == "specification"
    assert (found.items, found.rejected) == (39, 1)
    assert "ofertas" in str(found.first_rejected)
    nested = next(field for field in found.fields if field.field == "ofertas")
    assert "flatten it" in nested.why


def test_the_real_catalog_fills_most_positions() -> None:
    found = inspect_feeds(CATALOG, GROUPS, rows=1500)
    proposed = mapping(found)
    assert (found.catalog["id"], found.catalog["title"]) == ("id", "title")
    assert found.catalog["description"] == "description"
    assert proposed["brand"] == "brand"
    assert proposed["product_colour"] == "color"
    assert found.expected_positions > 3.5
    assert found.with_attributes_share[2] > 0.9


def test_a_feed_in_which_no_column_can_be_the_id_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("kind,text\nx,a b\nx,c d\nx,e f\n")
    with pytest.raises(CatalogInvalid, match=r"no column can be the (id|title)"):
        inspect_feeds([path], GROUPS)


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("hauptFarbe", "color"),
        ("HAUPTFARBE", "color"),
        ("Color principal", "color"),
        ("couleur_du_produit", "color"),
        ("Größe (EU)", "specification"),
        ("Groesse", "specification"),
        ("País de origen", "location"),
        ("原産国", "location"),
        ("ブランド", "brand"),
        ("品牌", "brand"),
        ("articleType", "entity"),
        ("color_code", "none"),
        ("imageUrl", "none"),
    ],
)
def test_a_name_is_understood_in_many_spellings(name: str, meaning: str) -> None:
    found = meaning_of(name)
    assert found is not None
    assert found.meaning == meaning


@pytest.mark.parametrize("name", ["", "x", "?", "wobble", "plattform", "a b c"])
def test_a_name_that_says_nothing_says_nothing(name: str) -> None:
    assert meaning_of(name) is None


@pytest.mark.parametrize(
    ("name", "values", "category"),
    [
        ("x", ["16 GB", "32GB", "500 ml", "1.5 l", "3 kg"], "specification"),
        ("x", ["S", "M", "XL", "EU 42", "XXL"], "specification"),
        ("x", ["19,99 €", "$5.00", "EUR 7", "1.200,00 €", "¥300"], "price"),
        ("x", ["AB-1234", "X200", "T480s", "MX518", "G502"], "model"),
        ("x", ["red", "navy blue", "green", "black", "white"], "color"),
        ("x", ["12", "13", "14", "15", "16"], None),
        ("x", ["https://a.example/1.jpg"] * 5, None),
        ("colour", ["yes", "no", "no", "yes", "no"], None),
        ("colour", ["1", "2", "3", "4", "5"], None),
        ("style", ["a long sentence that goes on and on and on for ever and a day"] * 5, None),
        ("speicher kapazität", ["16 GB", "32 GB", "8 GB", "4 GB", "2 GB"], "specification"),
    ],
)
def test_values_decide_where_a_name_does_not(
    name: str, values: list[str], category: str | None
) -> None:
    profile = FieldProfile(name)
    for value in values:
        profile.add(value)
    proposal = propose_category(profile, len(values))
    assert proposal.category == category
    assert proposal.why


# Names of other systems.


def test_inspect_takes_title_and_description_in_one_language(tmp_path: Path) -> None:
    header = "sku;description-de_DE-ecommerce;description-en_US-ecommerce;name-de_DE;name-en_US"
    rows = "".join(
        f"{n};Rotes Hemd aus Stoff {n};Red shirt made of cloth {n};Hemd {n};Red shirt {n}\n"
        for n in range(40)
    )
    catalog = inspect_feeds([written(tmp_path / "a.csv", f"{header}\n{rows}")], GROUPS).catalog
    assert [catalog[role] for role in ("id", "title", "description")] == [
        "sku",
        "name-en_US",
        "description-en_US-ecommerce",
    ]


def test_inspect_knows_the_names_of_google_merchant_center(tmp_path: Path) -> None:
    header = "g:id\tg:title\tg:description\tg:link\tg:brand\tg:color\tg:product_type"
    rows = "".join(
        f"SKU-{n}\tSoft hat {n}\tGood {n}\thttps://x.example.org/{n}\tAcme\tblue\thats\n"
        for n in range(40)
    )
    found = inspect_feeds([written(tmp_path / "a.tsv", f"{header}\n{rows}")], GROUPS).catalog
    roles = [found[role] for role in ("id", "title", "description")]
    assert roles == ["g:id", "g:title", "g:description"]
    assert found["fields"] == {"g:brand": "brand", "g:color": "color", "g:product_type": "entity"}


def test_magentos_store_views_are_told_as_such_and_inspect_takes_the_sku(tmp_path: Path) -> None:
    rows = "".join(f"M-{n},,Warm mug {n},x{n}\nM-{n},de,Becher {n},\n" for n in range(20))
    path = written(tmp_path / "a.csv", f"sku,store_view_code,name,url_key\n{rows}")
    found = inspect_feeds([path], GROUPS)
    assert (found.catalog["id"], found.catalog["title"]) == ("sku", "name")
    assert (found.items, found.rejected) == (20, 20)
    assert "export one store view" in str(found.first_rejected)
