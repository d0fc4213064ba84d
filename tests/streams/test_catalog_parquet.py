"""Parquet with values that Python's types cannot hold: text, or one row told by its field."""

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet
import pytest
from tests.streams.test_catalog_reading import items_of, rejected_of, rows_of

from kae.streams.catalog.files import open_feed
from kae.streams.catalog.inspect import inspect_feeds
from kae.streams.catalog.rows import FeedRow, RejectedRow
from kae.streams.topology.types import Topology

NS = 1_700_000_000_123_456_789


def feed(folder: Path, values: pa.Array, **options: Any) -> Path:
    path = folder / "a.parquet"
    ids = pa.array([f"P-{n}" for n in range(len(values))])
    table = pa.table({"id": ids, "title": ids, "v": values})
    pyarrow.parquet.write_table(table, path, **options)
    return path


def texts(path: Path) -> list[str | list[str] | None]:
    return [item.fields.get("v") for item in items_of(path)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            pa.array([NS, NS // 10**9 * 10**9, None], pa.timestamp("ns")),
            ["2023-11-14T22:13:20.123456789", "2023-11-14T22:13:20", None],
        ),
        (
            pa.array([NS, None], pa.timestamp("ns", "UTC")),
            ["2023-11-14T22:13:20.123456789+00:00", None],
        ),
        (
            pa.array([NS], pa.timestamp("ns", "Europe/Berlin")),
            ["2023-11-14T23:13:20.123456789+01:00"],
        ),
        (
            pa.array([1_700_000_000], pa.timestamp("s", "Nowhere/Town")),
            ["2023-11-14T22:13:20+00:00"],
        ),
        (
            pa.array([3_000_000, 0, -800_000], pa.int32()).view(pa.date32()),
            ["10183-09-21", "1970-01-01", "-0221-09-04"],
        ),
        (
            pa.array([568_971_820_800, 0]).view(pa.timestamp("s")),
            ["20000-01-01T00:00:00", "1970-01-01T00:00:00"],
        ),
        (pa.array([123_456_789]).view(pa.time64("ns")), ["00:00:00.123456789"]),
        (pa.array([1_500_000_001]).view(pa.duration("ns")), ["0:00:01.500000001"]),
        (pa.array([datetime.timedelta(seconds=90)]), ["0:01:30"]),
        (
            pa.array([[NS, None], []], pa.list_(pa.timestamp("ns"))),
            [["2023-11-14T22:13:20.123456789"], None],
        ),
        (pa.array([Decimal("12.50"), Decimal("0E-8")]), ["12.50000000", "0.00000000"]),
        (pa.array(["red", "blue", None]).dictionary_encode(), ["red", "blue", None]),
        (pa.array([b"red", None]), ["red", None]),
        (pa.array([b"ab", None], pa.binary(2)), ["ab", None]),
        (pa.array(["red"], pa.large_string()), ["red"]),
        (pa.array([None, None], pa.null()), [None, None]),
        (pa.array([1.5, float("nan")], pa.float32()), ["1.5", None]),
        (pa.array([2**64 - 1], pa.uint64()), [str(2**64 - 1)]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_a_value_of_any_type_is_text(
    values: pa.Array, expected: list[str | list[str] | None], tmp_path: Path
) -> None:
    assert texts(feed(tmp_path, values)) == expected


def test_every_row_of_a_large_file_is_read_where_one_has_nanoseconds(tmp_path: Path) -> None:
    moments = [1_700_000_000_000_000_000] * 3000
    moments[2049] += 789
    path = feed(tmp_path, pa.array(moments, pa.timestamp("ns")))
    read = texts(path)
    assert len(read) == 3000
    assert read[2048:2051] == [
        "2023-11-14T22:13:20",
        "2023-11-14T22:13:20.000000789",
        "2023-11-14T22:13:20",
    ]


def test_old_timestamps_hold_any_year(tmp_path: Path) -> None:
    moments = pa.array(["9999-12-31T01:00:00", "0001-01-01T00:00:00", None])
    values = moments.cast(pa.timestamp("us"))
    path = feed(tmp_path, values, use_deprecated_int96_timestamps=True)
    assert texts(path) == ["9999-12-31T01:00:00", "0001-01-01T00:00:00", None]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([0, 2**30, 0], pa.int32()).view(pa.date32()),
        pa.array([0, 2**50, 0]).view(pa.timestamp("s")),
        pa.array(["a", b"\xff", "b"], pa.binary()).view(pa.string()),
        pa.array([b"a", b"\xff", b"b"]),
    ],
)
def test_a_value_that_is_none_rejects_its_row_alone_and_by_its_field(
    values: pa.Array, tmp_path: Path
) -> None:
    path = feed(tmp_path, values)
    assert [type(row) for row in rows_of(path)] == [FeedRow, RejectedRow, FeedRow]
    (rejected,) = rejected_of(path)
    assert rejected.field == "v"
    assert rejected.remedy
    assert rejected.after.rows == 2
    assert "\n" not in str(rejected)
    assert len(items_of(path, allowed_fields=frozenset({"colour"}))) == 3


def test_nested_values_are_read_as_deep_as_a_field_goes(tmp_path: Path) -> None:
    inner = pa.struct([("made", pa.timestamp("ns")), ("colour", pa.string())])
    values = pa.array([{"made": NS, "colour": "red"}, None], inner)
    path = feed(tmp_path, values)
    assert [item.fields for item in items_of(path)] == [
        {"made": "2023-11-14T22:13:20.123456789", "colour": "red"},
        {},
    ]
    mapped = pa.array(
        [[("made", NS), ("sold", None)], []], pa.map_(pa.string(), pa.timestamp("ns"))
    )
    assert items_of(feed(tmp_path, mapped))[0].fields == {"made": "2023-11-14T22:13:20.123456789"}
    deep = pa.array([[{"made": NS, "colour": "red"}], []], pa.list_(inner))
    assert [row.field for row in rejected_of(feed(tmp_path, deep))] == ["v"]


def test_an_id_of_the_type_uuid_is_text_in_a_field(tmp_path: Path) -> None:
    one = UUID(int=7)
    values = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([one.bytes], pa.binary(16)))
    assert texts(feed(tmp_path, values)) == [str(one)]


def test_row_groups_of_such_values_are_read_alone(tmp_path: Path) -> None:
    path = feed(
        tmp_path, pa.array([NS + n for n in range(10)], pa.timestamp("ns")), row_group_size=4
    )
    opened = open_feed(path)
    assert opened.row_groups == (4, 4, 2)
    records = [dict(record) for record in opened.read_row_groups([1])]  # type: ignore[arg-type]
    assert [record["v"][-3:] for record in records] == ["793", "794", "795", "796"]


def test_inspect_reads_such_columns(tmp_path: Path) -> None:
    values = pa.array([NS + n for n in range(60)], pa.timestamp("ns"))
    found = inspect_feeds([feed(tmp_path, values)], Topology.load().codebook_groups)
    assert found.items == 60
    (column,) = [field for field in found.fields if field.field == "v"]
    assert column.items_share == 1.0
    assert column.examples[0].startswith("2023-11-14T22:13:20.")
