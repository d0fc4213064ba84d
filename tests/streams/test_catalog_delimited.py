"""CSV and TSV as people have them: read as a person would, or told by row; no row disappears."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.streams.test_catalog_reading import (
    CATALOG,
    items_of,
    rejected_of,
    rows_of,
    written,
)

from kae.streams.catalog.rows import FeedRow, open_catalog
from kae.streams.errors import CatalogInvalid

EIGHT = [["G-11", "plain", "Acme"], ["G-12", "plain", "Acme"], ["G-13", '"7 inch tablet', "Acme"]]
EIGHT += [[f"G-{n}", "plain", "Acme"] for n in (14, 15, 16)]
EIGHT += [["G-17", '"9 inch tablet', "Acme"], ["G-18", "plain", "Acme"]]


def unquoted(rows: list[list[str]], delimiter: str, ending: str = "\n") -> str:
    lines = [["id", "title", "brand"], *rows]
    return "".join(delimiter.join(line) + ending for line in lines)


def titles(path: Path) -> dict[str, str]:
    return {item.id: item.title for item in items_of(path)}


# Quotes.


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_a_quote_in_tsv_is_a_letter(name: str, ending: str, tmp_path: Path) -> None:
    path = written(tmp_path / name, unquoted(EIGHT, "\t", ending))
    assert titles(path) == {row[0]: row[1] for row in EIGHT}


def test_of_500_rows_of_tsv_with_quotes_all_are_read(tmp_path: Path) -> None:
    rows = [[f"N-{n}", f'"{n} inch' if n % 97 == 5 else f"plain {n}", "A"] for n in range(500)]
    assert titles(written(tmp_path / "a.tsv", unquoted(rows, "\t"))) == {r[0]: r[1] for r in rows}


@pytest.mark.parametrize(
    "title", ['"7 inch" tablet', 'tablet 7"', '"', '""7"" tablet', 'a "b" c', '"a" and "b"', "'a"]
)
def test_any_quotes_in_a_cell_of_tsv_are_letters(title: str, tmp_path: Path) -> None:
    rows = [["1", "first", "A"], ["2", title, "B"], ["3", "third", "C"], ["4", title, "D"]]
    path = written(tmp_path / "a.tsv", unquoted(rows, "\t"))
    assert titles(path) == {row[0]: row[1] for row in rows}


def test_a_quote_that_opens_and_one_that_ends_a_title_are_letters_in_tsv(tmp_path: Path) -> None:
    rows = [["1", '"7 inch', "A"], ["2", "b", "B"], ["3", "c", "C"], ["4", 'screen 9"', "D"]]
    path = written(tmp_path / "a.tsv", unquoted(rows, "\t"))
    assert titles(path) == {row[0]: row[1] for row in rows}


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_row_of_csv_that_opens_a_quote_is_told_and_no_other_is_lost(
    ending: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "a.csv", unquoted(EIGHT, ",", ending))
    first, second = rejected_of(path)
    assert str(first) == (
        f"{path} row 3: opens a quote that would make the following rows part of its cell; "
        "close the quote, or double each quote inside a quoted cell"
    )
    assert first.record == 'G-13,"7 inch tablet,Acme'
    assert second.record == 'G-17,"9 inch tablet,Acme'
    read = [row.item.id for row in rows_of(path) if isinstance(row, FeedRow)]
    assert read == ["G-11", "G-12", "G-14", "G-15", "G-16", "G-18"]


def test_rows_between_two_quotes_of_csv_are_no_cell(tmp_path: Path) -> None:
    rows = [["S-1", '"7 inch', "A"], ["S-2", "b", "B"], ["S-3", 'screen 9"', "C"], ["S-4", "d", ""]]
    path = written(tmp_path / "a.csv", unquoted(rows, ","))
    assert [row.record for row in rejected_of(path)] == ['S-1,"7 inch,A']
    read = {row.item.id: row.item.title for row in rows_of(path) if isinstance(row, FeedRow)}
    assert read == {"S-2": "b", "S-3": 'screen 9"', "S-4": "d"}


def test_a_quote_in_the_last_row_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", 'id,title\n1,a\n2,"b\n')
    (rejected,) = rejected_of(path)
    assert "row 2: has a quote that is not closed; close the quote" in str(rejected)


def test_a_cell_of_several_lines_with_delimiters_is_a_cell(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.csv",
        'id,title,description\nS-1,Lamp,"Warm, bright\nNice, old, small\nEnd, of it"\nS-2,Rug,x\n',
    )
    first, second = items_of(path, description="description")
    assert first.description == "Warm, bright\nNice, old, small\nEnd, of it"
    assert second.id == "S-2"


@pytest.mark.parametrize(
    "title", ["Set of\n5, black", "Soft, warm\n2 nice, red", "a\n1000 b", "x, y\nz, 1001"]
)
def test_a_line_of_a_text_that_begins_unlike_the_ids_is_no_row(title: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", f'id,title\n1001,"{title}"\n1002,Rug\n')
    assert titles(path) == {"1001": title, "1002": "Rug"}


@pytest.mark.parametrize(
    ("cell", "title"),
    [
        (r'"Shelf \"Oslo\", oak"', 'Shelf "Oslo", oak'),
        (r'"TV 42\" black"', 'TV 42" black'),
        (r'"TV 42\""', 'TV 42"'),
        (r'"wide 5\", solid"', 'wide 5", solid'),
        (r'"a \"b' + "\n" + r'c\" d"', 'a "b\nc" d'),
        (r'"C:\dir\"', "C:\\dir\\"),
        (r'"a\\b ""c"""', r'a\\b "c"'),
        ('"7 inch" tablet', "7 inch tablet"),
        ('7" tablet', '7" tablet'),
        ('7\\" tablet', '7\\" tablet'),
    ],
)
def test_quotes_in_csv_are_read_as_they_were_meant(cell: str, title: str, tmp_path: Path) -> None:
    rows = f"id,title,brand\nH-1,Rug,Nord\nH-2,{cell},Nord\nH-3,Table,Nord\n"
    path = written(tmp_path / "a.csv", rows)
    assert titles(path) == {"H-1": "Rug", "H-2": title, "H-3": "Table"}


# Lines and delimiters.


@pytest.mark.parametrize("delimiter", list(",;\t|"))
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_cr_alone(ending: str, delimiter: str, tmp_path: Path) -> None:
    rows = [["D-1", "Desk lamp", "Ikea"], ["D-2", "Floor lamp", "Ikea"]]
    path = written(tmp_path / "a.csv", unquoted(rows, delimiter, ending))
    assert titles(path) == {"D-1": "Desk lamp", "D-2": "Floor lamp"}
    (feed,) = open_catalog([path], CATALOG)
    assert feed.rows == 2


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"', "\ufeffsep=;", "sep=;;;"])
def test_excels_line_of_the_separator_is_no_header(line: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", f"{line}\r\nid;title;brand\r\nC-1;Lampe, rot;Philips\r\n")
    (item,) = items_of(path)
    assert (item.id, item.title, item.fields) == ("C-1", "Lampe, rot", {"brand": "Philips"})


def test_the_separator_line_may_name_any_sign(tmp_path: Path) -> None:
    assert titles(written(tmp_path / "a.csv", "sep=^\nid^title\n1^a;b,c\n")) == {"1": "a;b,c"}


@pytest.mark.parametrize(
    "header",
    [
        'id;title;"Price, incl. VAT, in EUR";"Width, height, depth"',
        "id;title;Price, incl. VAT, in EUR;Width, height, depth",
        'id;title;"a | b | c | d | e";"Width, height, depth, weight"',
    ],
)
def test_a_delimiter_inside_quotes_does_not_count(header: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", f"{header}\nR-1;Box, big;9,90;1 x 2 x 3\n")
    (item,) = items_of(path)
    assert (item.id, item.title, len(item.fields)) == ("R-1", "Box, big", 2)


def test_rows_of_delimiters_alone_are_no_rows(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "id;title;brand\nE-1;Stuhl;Ikea\n;;\n\n ; ;\n;;;;\n")
    assert titles(path) == {"E-1": "Stuhl"}


def test_further_cells_may_be_empty(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "id;title;brand\nF-1;Chair;Ikea; \nF-2;Table;Ikea;;\n")
    assert titles(path) == {"F-1": "Chair", "F-2": "Table"}


# Several exports in one file.


@pytest.mark.parametrize(
    "second", ["id,title,brand\n2,b,B\n", "brand,id,title\nB,2,b\n", "id,title\n2,b\n"]
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_header_in_the_middle_is_no_product(mark: str, second: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", f"id,title,brand\n1,a,A\n{mark}{second}")
    assert titles(path) == {"1": "a", "2": "b"}
    assert all(item.fields.get("brand", "A") in ("A", "B") for item in items_of(path))


def test_a_second_header_with_further_columns_names_the_cells_below_it(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "id,title\n1,a\nid,title,color\n2,b,red\n")
    assert [item.fields for item in items_of(path)] == [{}, {"color": "red"}]


def test_a_product_that_has_a_columns_name_is_a_product(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "id,title,brand\nbrand,title of a book,x\n2,id,title\n")
    assert list(titles(path)) == ["brand"]
    path = written(tmp_path / "a.csv", "id,title,brand\n2,id,Acme\n")
    assert titles(path) == {"2": "id"}


# Accounting.

CELLS = st.text(alphabet='ab é,;|\t"\n\r\\', max_size=8)
TABLES = st.lists(st.tuples(CELLS.map(lambda cell: f"t{cell}"), CELLS), min_size=1, max_size=8)
EVERY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@EVERY
@given(rows=TABLES, dialect=st.sampled_from(["excel", "excel-tab", "unix"]))
def test_what_python_writes_comes_back_as_it_was(
    rows: list[tuple[str, str]], dialect: str, tmp_path: Path
) -> None:
    text = io.StringIO(newline="")
    out = csv.writer(text, dialect=dialect)
    out.writerow(["id", "title", "brand", "note"])
    out.writerows([f"G-{n}", title, brand, "x"] for n, (title, brand) in enumerate(rows))
    path = written(tmp_path / "a.csv", text.getvalue())
    read = [(item.id, item.title, item.fields.get("brand", "")) for item in items_of(path)]
    assert read == [(f"G-{n}", title, brand) for n, (title, brand) in enumerate(rows)]


@EVERY
@given(
    body=st.one_of(st.binary(max_size=200), st.text('12,;\t"\n\r\\{}[]:', max_size=80)),
    name=st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.json"]),
)
def test_random_bytes_are_read_or_told(body: bytes | str, name: str, tmp_path: Path) -> None:
    header = b"" if name.startswith("a.j") else b"id,title,brand\n"
    content = header + (body if isinstance(body, bytes) else body.encode())
    path = written(tmp_path / name, content)
    try:
        rows = rows_of(path)
    except CatalogInvalid:
        return
    for number, row in enumerate(rows, 1):
        assert row.after == (0, number)
        if not isinstance(row, FeedRow):
            assert row.reason
            assert row.remedy


@EVERY
@given(
    cells=st.lists(st.sampled_from(["plain", '"open', 'end"', '"both"', 'a"b', '""']), max_size=12)
)
def test_every_line_of_csv_with_stray_quotes_is_read_or_told_once(
    cells: list[str], tmp_path: Path
) -> None:
    rows = [[f"G-{n}", cell, "Acme"] for n, cell in enumerate(cells)]
    path = written(tmp_path / "a.csv", unquoted([["G-x", "first", "Acme"], *rows], ","))
    seen = [
        row.item.id if isinstance(row, FeedRow) else str(row.record).partition(",")[0]
        for row in rows_of(path)
        if isinstance(row, FeedRow) or isinstance(row.record, str)
    ]
    without_title = [row.record["id"] for row in rejected_of(path) if isinstance(row.record, dict)]
    assert sorted(seen + without_title) == sorted(["G-x", *(row[0] for row in rows)])
