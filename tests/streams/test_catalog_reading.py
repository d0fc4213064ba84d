"""Packed, odd and broken feeds: what can be read is read rightly, the rest is told and why."""

import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from kae.encoders.items import Item
from kae.streams.catalog.rejected import RejectedRows, reject_repeated
from kae.streams.catalog.rows import FeedRow, RejectedRow, open_catalog, read_rows
from kae.streams.catalog.values import RecordInvalid, read_id
from kae.streams.errors import CatalogInvalid
from kae.streams.events.items import beyond_bounds
from kae.streams.topology.types import Topology

CATALOG = Topology.load().catalog.model_copy(update={"description": None})
LINES = '{"id": 1, "title": "Tönér"}\n{"id": 2, "title": "商品"}\n'


def gz(data: bytes) -> bytes:
    # Without the time of day: a case is told by its bytes, and every process has to tell it alike.
    return gzip.compress(data, mtime=0)


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as compressed:
        compressed.write(data)
    return bytes(sink.getvalue())


PACKINGS: dict[str, Callable[[bytes], bytes]] = {"gz": gz, "zst": zstd}


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows_of(path: Path, **changes: object) -> list[FeedRow | RejectedRow]:
    catalog = CATALOG.model_copy(update=changes)
    return list(read_rows(open_catalog([path], catalog), catalog))


def items_of(path: Path, **changes: object) -> list[Item]:
    rows = rows_of(path, **changes)
    assert all(isinstance(row, FeedRow) for row in rows), rows
    return [row.item for row in rows if isinstance(row, FeedRow)]


def rejected_of(path: Path, **changes: object) -> list[RejectedRow]:
    return [row for row in rows_of(path, **changes) if isinstance(row, RejectedRow)]


# Packed files.


@pytest.mark.parametrize("compression", PACKINGS)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_packed_text_is_read_like_plain_text(compression: str, mark: str, tmp_path: Path) -> None:
    lines = written(
        tmp_path / f"a.jsonl.{compression}", PACKINGS[compression]((mark + LINES).encode())
    )
    table = f"{mark}id;title\n1;Tönér\n2;商品\n"
    cells = written(tmp_path / f"a.csv.{compression}", PACKINGS[compression](table.encode()))
    for path in (lines, cells):
        assert [(i.id, i.title) for i in items_of(path)] == [("1", "Tönér"), ("2", "商品")]


def test_packed_text_without_the_suffix_is_read_too(tmp_path: Path) -> None:
    assert len(items_of(written(tmp_path / "a.jsonl", gz(LINES.encode())))) == 2


@pytest.mark.parametrize("compression", PACKINGS)
@pytest.mark.parametrize("lost", [1, 9, 2000])
def test_a_cut_packed_file_is_told_before_any_row_is_read(
    compression: str, lost: int, tmp_path: Path
) -> None:
    lines = "".join(
        json.dumps({"id": n, "title": f"{n * 7919 % 10007} {n * 104729 % 9973}"}) + "\n"
        for n in range(3000)
    )
    compressed = PACKINGS[compression](lines.encode())
    path = written(tmp_path / f"a.jsonl.{compression}", compressed[:-lost])
    with pytest.raises(CatalogInvalid, match=r"truncated or damaged: .*fetch it again"):
        open_catalog([path], CATALOG)


def test_a_damaged_gzip_file_is_told_before_any_row_is_read(tmp_path: Path) -> None:
    compressed = bytearray(gz(LINES.encode() * 500))
    compressed[len(compressed) // 2] ^= 0xFF
    path = written(tmp_path / "a.jsonl.gz", bytes(compressed))
    with pytest.raises(CatalogInvalid, match="truncated or damaged"):
        open_catalog([path], CATALOG)


# Files that are no feed.


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"", "is empty"),
        ("a.jsonl", b"", "is empty"),
        ("a.parquet", b"", "is empty"),
        ("a.csv.gz", gz(b""), "is empty once decompressed"),
        ("a.csv", b"id,title\n", "no row to read"),
        ("a.csv", b",,\n1,2,3\n", "names no column"),
        ("a.csv", b"id,title,title\n1,a,b\n", "2 columns of the name 'title'"),
        ("a.csv", b"id,t\xeftle\n1,a\n", "is not UTF-8"),
        ("a.csv", "id,title\n1,x\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("a.csv", b"PAR1....", "name it FILE.parquet"),
        ("a.parquet", b"id,title\n1,x\n", "is no Parquet file"),
        ("a.csv.gz", b"id,title\n1,x\n", "holds no gzip data"),
        ("a.csv.zst", gz(b"id,title\n1,x\n"), "holds no zstd data"),
        ("a.txt", b"id,title\n1,x\n", "is no format that kae reads"),
        ("a.parquet.gz", b"x", "is no format that kae reads"),
        ("a.csv", b"sku,title\n1,x\n", r"has no column 'id', which catalog\.id names"),
        ("a.jsonl", b'{"sku": 1, "title": "x"}\n', r"has no column 'id', which catalog\.id names"),
    ],
)
def test_a_file_that_is_no_feed_is_told_with_a_remedy(
    name: str, content: bytes, told: str, tmp_path: Path
) -> None:
    path = written(tmp_path / name, content)
    with pytest.raises(CatalogInvalid, match=told) as refused:
        open_catalog([path], CATALOG)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_part_without_rows_is_read_beside_others(tmp_path: Path) -> None:
    paths = [
        written(tmp_path / "a.csv", "id,title\n"),
        written(tmp_path / "b.csv", "id,title\n1,x\n"),
    ]
    assert len(list(read_rows(open_catalog(paths, CATALOG), CATALOG))) == 1


# Rows.


def test_a_row_with_too_many_or_too_few_cells_is_rejected_alone(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "id,title,color\n1,a,red\n2,b\n3,c,red,big\n4,d,blue\n")
    few, many = rejected_of(path)
    assert "row 2: has 2 cells under 3 columns; quote cells" in str(few)
    assert "row 3: has 4 cells under 3 columns" in str(many)
    assert len(rows_of(path)) == 4


def test_a_line_that_is_no_object_is_rejected_alone(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", f'{LINES}[1, 2]\n"x"\n{{"id": \n')
    assert [type(row) for row in rows_of(path)] == [FeedRow, FeedRow, *[RejectedRow] * 3]
    assert "Expected `object`, got `array`; write one JSON object a line" in str(
        rejected_of(path)[0]
    )


def test_foreign_bytes_are_rejected_and_written_down_readably(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", b"id,title\n1,T\xf6ner\n2,ok\n")
    (rejected,) = rejected_of(path)
    assert "is not UTF-8; save the file as UTF-8" in str(rejected)
    kept = RejectedRows(tmp_path / "rejected.jsonl", 0)
    kept.write(rejected)
    kept.close()
    (line,) = (tmp_path / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["record"] == "1,T\\xf6ner"


def test_foreign_bytes_in_parquet_reject_their_row_alone(tmp_path: Path) -> None:
    titles = pa.array([b"ok", b"T\xf6ner", b"fine"]).view(pa.string())
    table = pa.table({"id": [1, 2, 3], "title": titles})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    rows = rows_of(tmp_path / "a.parquet")
    assert [type(row) for row in rows] == [FeedRow, RejectedRow, FeedRow]


def test_several_values_come_as_lists_or_with_the_declared_separator(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "id,title,color,size\n1,a|b,red|blue||,|\n")
    assert items_of(path)[0].fields == {"color": "red|blue||", "size": "|"}
    (item,) = items_of(path, separator="|")
    assert (item.title, item.fields) == ("a|b", {"color": ["red", "blue"]})
    path = written(tmp_path / "a.jsonl", '{"id":1,"title":"a","color":["red|x",null,7],"size":[]}')
    assert items_of(path, separator="|")[0].fields == {"color": ["red", "x", "7"]}


def test_a_title_may_be_a_number_or_several_texts(tmp_path: Path) -> None:
    lines = '{"id":1,"title":501}\n{"id":2,"title":["a",null,"b"]}\n{"id":3,"title":[]}\n'
    path = written(tmp_path / "a.jsonl", lines)
    assert [row.item.title for row in rows_of(path) if isinstance(row, FeedRow)] == ["501", "a\nb"]
    assert "title is []: text is needed" in str(rejected_of(path)[0])


def test_a_nested_value_is_told_by_its_field(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", '{"id": 1, "title": "x", "sizes": [{"eu": 42}]}\n')
    (rejected,) = rejected_of(path)
    assert rejected.field == "sizes"
    assert rejected.remedy == "flatten the column or leave it out"


def test_a_column_without_a_name_is_named_by_its_place(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", ",id,title\n0,7,x\n")
    assert items_of(path)[0].fields == {"column 1": "0"}


# Ids.


@pytest.mark.parametrize(
    ("value", "item_id"),
    [
        ("1", "1"),
        ("1.0", "1.0"),
        (" 1", " 1"),
        (1, "1"),
        (1.0, "1"),
        (-7.0, "-7"),
        (Decimal("12.00"), "12"),
        (1 << 53, str(1 << 53)),
        ((1 << 64) + 1, str((1 << 64) + 1)),
        (b"SKU-1", "SKU-1"),
        ("商品-1", "商品-1"),
    ],
)
def test_an_id_is_text_or_a_whole_number(value: object, item_id: str) -> None:
    assert read_id({"id": value}, "id") == item_id


@pytest.mark.parametrize(
    "value", [None, "", "  ", True, 1.5, float("nan"), float("inf"), 2.0**53 + 2, b"\xff", [], {}]
)
def test_what_is_no_id_is_told_by_field_and_value(value: object) -> None:
    with pytest.raises(RecordInvalid, match=r"^id is ") as refused:
        read_id({"id": value}, "id")
    assert refused.value.remedy


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_ids_of_numbers_are_the_same_in_every_format(name: str, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"id": 1.0, "title": "x"}, {"id": 3.0, "title": "y"}]
    if name.endswith("jsonl"):
        written(tmp_path / name, "".join(json.dumps(row) + "\n" for row in rows))
    else:
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / name)
    assert [item.id for item in items_of(tmp_path / name)] == ["1", "3"]


def test_an_id_that_comes_again_is_rejected(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", LINES + '{"id": "1", "title": "other"}\n')
    first, second, third = reject_repeated(rows_of(path), "id")
    assert isinstance(first, FeedRow)
    assert isinstance(second, FeedRow)
    assert isinstance(third, RejectedRow)
    assert "row 3: id is '1': an earlier row has this id" in str(third)


# Sizes.


def test_a_text_of_100_kb_is_an_item_and_a_longer_one_is_told_by_its_field(tmp_path: Path) -> None:
    row = {"id": 1, "title": "x" * 100_000, "notes": "n" * 20_000}
    path = written(tmp_path / "a.jsonl", json.dumps(row))
    (item,) = items_of(path)
    assert len(item.title) == 100_000
    assert beyond_bounds(item) is None
    path = written(tmp_path / "a.jsonl", json.dumps({**row, "notes": "n" * 20_001}))
    assert beyond_bounds(items_of(path)[0]) == (
        "notes",
        "n" * 20_001,
        "expected `str` of length <= 20000",
    )


# What may travel at all.


def test_fields_that_are_not_allowed_go_nowhere_not_even_with_a_rejected_row(
    tmp_path: Path,
) -> None:
    lines = (
        '{"id":1,"title":"a","seller":"Ann","more":{"color":"red","phone":"123"}}\n'
        '{"id":2,"title":"","seller":"Ann","more":{"phone":"123"}}\n'
        '{"id":3,"title":"c","seller":"Ann"\n'
    )
    path = written(tmp_path / "a.jsonl", lines)
    allowed = frozenset({"color"})
    item, *rejected = rows_of(path, allowed_fields=allowed)
    assert isinstance(item, FeedRow)
    assert item.item.fields == {"color": "red"}
    assert [row.record for row in rejected] == [{"id": 2, "title": ""}, ""]
    assert item.record == {"id": 1, "title": "a", "more": {"color": "red"}}
    everything = rows_of(path)
    assert isinstance(everything[0], FeedRow)
    assert everything[0].item.fields == {"seller": "Ann", "color": "red", "phone": "123"}
