"""Feeds of any format become the same items; what is no item is kept, with the reason."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from kae.streams.catalog.rows import FeedRow, RejectedRow, open_catalog, read_items, read_rows
from kae.streams.errors import CatalogInvalid
from kae.streams.topology.types import Topology

CATALOG = Topology.load().catalog
ROWS: list[dict[str, Any]] = [
    {"id": "1", "title": "Tönér", "description": "schwarz", "brand": "HP"},
    {"id": "2", "title": "商品", "description": "", "brand": "Canon"},
]


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / name
    table = pa.Table.from_pylist(rows)
    match path.suffix:
        case ".parquet":
            pyarrow.parquet.write_table(table, path)
        case ".csv":
            pyarrow.csv.write_csv(table, path)
        case _:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def rows_of(path: Path) -> list[FeedRow | RejectedRow]:
    return list(read_rows(open_catalog([path], CATALOG), CATALOG))


@pytest.mark.parametrize("name", ["feed.parquet", "feed.csv", "feed.jsonl", "feed.ndjson"])
def test_every_format_gives_the_same_items(name: str, tmp_path: Path) -> None:
    items = list(read_items([write(tmp_path, name, ROWS)], CATALOG))
    assert [(i.id, i.title, i.description, i.fields) for i in items] == [
        ("1", "Tönér", "schwarz", {"brand": "HP"}),
        ("2", "商品", "", {"brand": "Canon"}),
    ]


def test_nested_values_become_fields_and_null_says_nothing(tmp_path: Path) -> None:
    rows = [
        {
            "id": 7,
            "title": "x",
            "description": None,
            "attributes": {"colour": "red", "empty": None},
            "tags": ["a", "b"],
        }
    ]
    (item,) = read_items([write(tmp_path, "feed.jsonl", rows)], CATALOG)
    assert item.id == "7"
    assert item.fields == {"colour": "red", "tags": ["a", "b"]}


def test_a_row_that_is_no_item_is_told_by_file_row_field_value_and_remedy(tmp_path: Path) -> None:
    path = write(tmp_path, "feed.jsonl", [ROWS[0], {**ROWS[1], "id": None}, ROWS[1]])
    first, rejected, last = rows_of(path)
    assert isinstance(first, FeedRow)
    assert isinstance(last, FeedRow)
    assert isinstance(rejected, RejectedRow)
    assert str(rejected).startswith(f"{path} row 2: id is ")
    assert rejected.remedy
    assert dict(rejected.record)["title"] == "商品"  # type: ignore[arg-type]


def test_a_line_that_is_no_json_is_rejected_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "feed.jsonl"
    path.write_text(f'{json.dumps(ROWS[0])}\n{{"id": \n{json.dumps(ROWS[1])}\n')
    assert [type(row) for row in rows_of(path)] == [FeedRow, RejectedRow, FeedRow]


def test_a_missing_column_and_a_missing_file_are_told_before_any_row_is_read(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, "feed.csv", [{"sku": "1", "title": "x", "description": ""}])
    with pytest.raises(CatalogInvalid, match=r"has no column 'id', which catalog\.id names"):
        open_catalog([path], CATALOG)
    with pytest.raises(CatalogInvalid, match=r"nowhere\.csv"):
        open_catalog([tmp_path / "nowhere.csv"], CATALOG)
