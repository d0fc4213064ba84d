"""JSON as people have it: objects over several lines, arrays, empty numbers, half characters."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.streams.test_catalog_delimited import EVERY
from tests.streams.test_catalog_reading import gz, items_of, rejected_of, rows_of, written

from kae.streams.catalog.rejected import RejectedRows, reject_repeated
from kae.streams.catalog.rows import FeedPosition, FeedRow, RejectedRow
from kae.streams.catalog.values import RecordInvalid, read_id, read_popularity

ROWS: list[dict[str, Any]] = [
    {"id": "1", "title": "Ball", "more": {"tags": ["a", "b"], "note": 'brace } and "quote"'}},
    {"id": "2", "title": "Bat ] [", "more": {}},
    {"id": "3", "title": "Net\\", "more": None},
]
LAYOUTS = {
    "lines": "".join(json.dumps(row) + "\n" for row in ROWS),
    "lines that end in CR": "".join(json.dumps(row) + "\r" for row in ROWS),
    "lines that end in CRLF": "".join(json.dumps(row) + "\r\n" for row in ROWS),
    "pretty objects": "\n".join(json.dumps(row, indent=2) for row in ROWS),
    "flat objects": "\n".join(json.dumps(row, indent=0) for row in ROWS),
    "pretty objects of CRLF": "\r\n".join(json.dumps(row, indent=4) for row in ROWS).replace(
        "\n", "\r\n"
    ),
    "an array in a line": json.dumps(ROWS),
    "a pretty array": json.dumps(ROWS, indent=2),
    "a pretty array of CR": json.dumps(ROWS, indent=2).replace("\n", "\r"),
    "an object a line in an array": "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n",
    "two arrays": json.dumps(ROWS[:1]) + "\n" + json.dumps(ROWS[1:]),
    "an array with a comma too many": json.dumps(ROWS)[:-1] + ",]",
    "two files with a mark": "\n\ufeff".join(map(json.dumps, ROWS)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.ndjson.gz"])
def test_every_layout_of_json_gives_the_same_items(layout: str, name: str, tmp_path: Path) -> None:
    content = LAYOUTS[layout].encode()
    items = items_of(written(tmp_path / name, gz(content) if name.endswith("gz") else content))
    assert [(item.id, item.title) for item in items] == [(row["id"], row["title"]) for row in ROWS]
    assert items[0].fields == ROWS[0]["more"]


@EVERY
@given(
    titles=st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=6),
    indent=st.sampled_from([None, 0, 1, 4, "\t"]),
    array=st.booleans(),
    ascii_only=st.booleans(),
)
def test_what_python_writes_comes_back_as_it_was(
    titles: list[str], indent: int | str | None, array: bool, ascii_only: bool, tmp_path: Path
) -> None:
    rows = [{"id": n, "title": title} for n, title in enumerate(titles)]
    texts = [rows] if array else rows
    lines = [json.dumps(one, indent=indent, ensure_ascii=ascii_only) for one in texts]
    path = written(tmp_path / "a.json", "\n".join(lines))
    assert [(item.id, item.title) for item in items_of(path)] == [
        (str(n), title) for n, title in enumerate(titles)
    ]


def test_a_broken_object_is_told_alone(tmp_path: Path) -> None:
    good = json.dumps({"id": "1", "title": "a"}, indent=2)
    other = json.dumps({"id": "9", "title": "b"}, indent=2)
    for broken in ('{\n  "id": "2"\n  "title": "x"\n}', '{\n  "id": "2",\n  "title": "x"\n'):
        path = written(tmp_path / "a.jsonl", f"{good}\n{broken}\n{other}\n")
        assert [type(row) for row in rows_of(path)] == [FeedRow, RejectedRow, FeedRow]
    path = written(tmp_path / "a.json", f"[{good}, nonsense, {other}, 7]")
    assert [type(row) for row in rows_of(path)] == [FeedRow, RejectedRow, FeedRow, RejectedRow]


def test_a_file_that_ends_inside_its_array_is_told(tmp_path: Path) -> None:
    whole = json.dumps([{"id": n, "title": "x"} for n in range(3)])
    for cut, told in ((1, 1), (2, 2), (12, 2)):
        path = written(tmp_path / "a.json", whole[:-cut])
        assert len(rejected_of(path)) == told
        assert "the file ends inside its array; fetch the file again" in str(rejected_of(path)[-1])


def test_an_array_larger_than_a_block_is_read_whole(tmp_path: Path) -> None:
    rows = [{"id": n, "title": "t" * (n % 700) + "x", "m": {"a": "]},{"}} for n in range(3000)]
    items = items_of(written(tmp_path / "a.json", json.dumps(rows)))
    assert [item.title for item in items] == [row["title"] for row in rows]


@pytest.mark.parametrize("text", [r"Party hat \ud83c", r"Party hat \udf89 x", r"a \uD83C\uD83C b"])
def test_half_a_character_is_told_by_its_field(text: str, tmp_path: Path) -> None:
    lines = (
        r'{"id":"1","title":"Party hat \ud83c\udf89"}' + "\n"
        f'{{"id":"2","title":"{text}"}}\n'
        f'{{"id":"3","title":"c","more":{{"note":"{text}"}}}}\n'
    )
    path = written(tmp_path / "a.jsonl", lines)
    title, note = rejected_of(path)
    assert "row 2: title is " in str(title)
    assert "is half of a character, without its other half" in title.reason
    assert title.remedy == "write both halves, or leave it out"
    assert note.field == "note"
    kept = RejectedRows(tmp_path / "rejected.jsonl", 0)
    kept.write(title)
    kept.close()
    assert json.loads((tmp_path / "rejected.jsonl").read_bytes())["record"]["id"] == "2"
    allowed = rows_of(path, allowed_fields=frozenset({"colour"}))
    assert [type(row) for row in allowed] == [FeedRow, RejectedRow, FeedRow]


def test_a_row_with_a_number_of_any_size_is_written_down(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", '{"id":"","title":"x","n":123456789012345678901234}\n')
    (rejected,) = rejected_of(path)
    kept = RejectedRows(tmp_path / "rejected.jsonl", 0)
    kept.write(rejected)
    kept.close()
    line = json.loads((tmp_path / "rejected.jsonl").read_bytes())
    assert line["record"]["n"] == 123456789012345678901234


def test_deep_nesting_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", '{"id":1,"title":' + "[" * 5000 + "]" * 5000 + "}\n")
    assert "recursion" in rejected_of(path)[0].reason


# Values.


@pytest.mark.parametrize("empty", [None, "", " "])
def test_empty_text_is_no_popularity(empty: object) -> None:
    assert read_popularity({"sold": empty}, "sold") == 0.0


@pytest.mark.parametrize("value", ["1.234,5", "n/a", "1,234", "-", []])
def test_what_is_no_number_is_told(value: object) -> None:
    with pytest.raises(RecordInvalid, match="popularity is a number"):
        read_popularity({"sold": value}, "sold")


@pytest.mark.parametrize("value", ["A-1\n", "\r\nA-1\r\n", "A-1\u2028", "A-1\x0b", "A-1\x00"])
def test_line_breaks_around_an_id_are_none_of_it(value: str) -> None:
    assert read_id({"id": value}, "id") == "A-1"


@pytest.mark.parametrize("value", ["A\n1", "A\r\n1", "A\u20281", "A\x001", "\n", "\x00"])
def test_an_id_of_two_lines_or_of_none_is_told(value: str) -> None:
    with pytest.raises(RecordInvalid, match=r"an id is one line|an item needs an id"):
        read_id({"id": value}, "id")


def test_a_store_view_of_an_item_is_told_with_a_remedy_that_helps(tmp_path: Path) -> None:
    lines = (
        '{"id":"1","title":"Mug","store_view_code":null}\n'
        '{"id":"1","title":"Becher","store_view_code":"de"}\n'
    )
    path = written(tmp_path / "a.jsonl", lines)
    first, second = reject_repeated(rows_of(path), "id")
    assert isinstance(first, FeedRow)
    assert isinstance(second, RejectedRow)
    assert second.after == FeedPosition(0, 2)
    assert "store_view_code is 'de': an earlier row is the item '1'" in str(second)
    assert second.remedy == "export one store view, or delete the rows that have a store_view_code"
