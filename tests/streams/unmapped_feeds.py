"""Feeds of shops that kae has never seen: other languages, trades, column names and formats."""

import csv
import gzip
import json
from itertools import product
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet


def german_fashion(folder: Path) -> Path:
    """A CSV of semicolons, with umlauts, from a spreadsheet that writes a byte order mark."""
    path = folder / "mode.csv"
    kinds = ["Übergangsjacke", "Strickpullover", "Jeanshose", "Abendkleid"]
    colours = ["Weiß", "Dunkelgrün", "Rot", "Schwarz"]
    brands = ["Süßmann", "Käthe & Söhne", "Nordlicht"]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        rows = csv.writer(file, delimiter=";")
        rows.writerow(
            [
                "Artikelnummer",
                "Bezeichnung",
                "Langtext",
                "Warengruppe",
                "Hersteller",
                "Hauptfarbe",
                "Obermaterial",
                "Konfektionsgröße",
                "Zielgruppe",
                "Saison",
                "Preis",
                "Bild-URL",
            ]
        )
        for number, (kind, colour, brand) in enumerate(product(kinds, colours, brands), 1000):
            material = ["Baumwolle|Elasthan", "Schurwolle"][number % 2]
            rows.writerow(
                [
                    f"DE-{number}",
                    f"{kind} {colour} von {brand}",
                    "Weich; für kühle Tage." * 5,
                    kind,
                    brand,
                    colour,
                    material,
                    ["S", "M", "XL"][number % 3],
                    ["Damen", "Herren"][number % 2],
                    ["Sommer", "Winter"][number % 2],
                    f"{number % 90 + 9},90 €",
                    f"https://bilder.example/{number}.jpg",
                ]
            )
    return path


def groceries(folder: Path) -> Path:
    """A CSV in English whose names are another trade's; ids are long numbers."""
    path = folder / "groceries.csv.gz"
    kinds = ["oat milk", "rye bread", "apple juice", "green tea", "rice"]
    makers = ["Hill Farm", "Ocean & Sons", "Old Mill"]
    lines = ["upc,display_name,aisle,maker,net content,flavour,made in,ingredients,organic,stock"]
    for number, (kind, maker) in enumerate(product(kinds * 4, makers)):
        origin = ["Ireland", "Italy", "Spain"][number % 3]
        flavour = ["vanilla", "plain", "honey", ""][number % 4]
        lines.append(
            f'{9007199254740993 + number},"{maker} {kind}, {flavour} {number}",{kind},{maker},'
            f'{(number % 4 + 1) * 250} g,{flavour},{origin},"water, {kind}, salt",yes,{number * 7}'
        )
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def japanese_goods(folder: Path) -> Path:
    """JSON Lines of Japanese names and values, with lists and with fields that some items lack."""
    path = folder / "goods.jsonl"
    kinds = ["湯呑み", "茶碗", "平皿", "箸置き"]
    colours = ["藍色", "白", "黒", "赤"]
    lines = []
    for number, (kind, colour) in enumerate(product(kinds * 3, colours)):
        row: dict[str, object] = {
            "商品コード": number + 1.0,
            "商品名": f"{kind} {colour} 手作り {number}",
            "商品説明": "ひとつひとつ手作りの器です。" * 8,
            "カテゴリ": kind,
            "カラー": [colour, "無地"] if number % 3 else colour,
            "素材": ["陶器", "磁器"][number % 2],
            "産地": ["有田", "益子", "信楽"][number % 3],
            "販売数": number * 3,
        }
        if number % 4 == 0:
            row["柄"] = "格子"
        lines.append(json.dumps(row, ensure_ascii=False))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def spanish_tools(folder: Path) -> Path:
    """Parquet with names of its own for everything, a map of attributes and nested offers."""
    path = folder / "herramientas.parquet"
    rows = [
        {
            "clave": f"ES{number}",
            "texto": f"Taladro número {number} con maletín para el señor López",
            "ficha": [("Tensión", "18 V"), ("Color principal", "rojo"), ("Género", "hombre")],
            "marca del producto": ["Álamo", "Peña"][number % 2],
            "x7": ["red", "blue", "green"][number % 3],
            "ofertas": [{"tienda": 1, "precio": 2.5}] if number == 3 else None,
        }
        for number in range(40)
    ]
    texts = pa.map_(pa.string(), pa.string())
    schema = pa.schema(
        [
            ("clave", pa.string()),
            ("texto", pa.string()),
            ("ficha", texts),
            ("marca del producto", pa.string()),
            ("x7", pa.string()),
            ("ofertas", pa.list_(pa.struct([("tienda", pa.int64()), ("precio", pa.float64())]))),
        ]
    )
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return path


def fashion(folder: Path) -> Path:
    """A CSV of clothes and shoes whose every text is a title of a few words."""
    path = folder / "fashion.csv"
    kinds = [
        ("Apparel", "Topwear", "Shirts", "Shirt"),
        ("Apparel", "Bottomwear", "Jeans", "Jeans"),
        ("Footwear", "Shoes", "Casual Shoes", "Casual Shoe"),
        ("Accessories", "Watches", "Watches", "Watch"),
    ]
    brands = ["Turtle", "Peter England", "Puma", "Inkfruit", "Fabindia"]
    colours = ["Navy Blue", "Black", "White", "Olive", "Maroon"]
    looks = ["Check", "Striped", "Printed", "Slim Fit"]
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        mapped = ["gender", "masterCategory", "subCategory", "articleType", "baseColour"]
        rows.writerow(["id", *mapped, "season", "year", "usage", "productDisplayName"])
        for number, (kind, brand, colour, look) in enumerate(
            product(kinds, brands, colours, looks), 15970
        ):
            whom = ["Men", "Women", "Unisex"][number % 3]
            season = ["Summer", "Fall", "Winter", "Spring"][number % 4]
            title = f"{brand} {whom} {look} {colour} {kind[3]}"
            usage = ["Casual", "Formal", "Sports"][number % 7 % 3]
            year = 2011 + number % 5
            rows.writerow([number, whom, *kind[:3], colour, season, year, usage, title])
    return path
