"""Tables of terms: what is read, and what is told of each row that is wrong."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kae.streams.errors import TermRefused
from kae.streams.events.term_data import SelectorData
from kae.streams.terms.table import ROWS, TermRow, read_table
from kae.streams.topology.types import Topology

NOW_MS = 1_800_000_000_000


def read(folder: Path, text: str | bytes, topology: Topology | None = None) -> list[TermRow]:
    path = folder / "words.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path, topology or Topology.load(), "ann", NOW_MS)


def test_a_row_is_the_bind_that_its_cells_say(tmp_path: Path) -> None:
    text = (
        "\ufeffWord, aliases,category,match,items,where,owner,reason,from,until\n"
        'Quiet-Core,quiet|silent core,color,"toner, black",1|2,"brand = ""hp""",search,spring,'
        "2027-07-01T08:00+02:00,never\n"
        "\n"
        "zorblax,,brand,toner,,,,,,2027-08-01\n"
    )
    first, second = read(tmp_path, text)
    assert (first.line, second.line, first.problems, second.problems) == (2, 4, (), ())
    assert first.data is not None
    assert second.data is not None
    assert first.data.selector == SelectorData("toner, black", ["1", "2"], 'brand = "hp"')
    assert (first.data.aliases, first.data.category) == (["quiet", "silent core"], "color")
    assert (first.data.by, first.data.revision) == ("ann", NOW_MS)
    assert first.data.from_ == datetime(2027, 7, 1, 6, tzinfo=UTC)
    assert first.data.until is None
    assert second.data.until == datetime(2027, 8, 1, tzinfo=UTC)


def test_a_row_without_a_category_is_read_by_the_tagger(tmp_path: Path) -> None:
    given, read_by, neither = read(
        tmp_path,
        "word,match,category\nmidnight blue,toner,brand\nzorblax,toner,\ntrail running shoe,a,\n",
    )
    assert [row.chosen and row.chosen.by for row in (given, read_by, neither)] == [
        "given",
        "tagger",
        "default",
    ]
    assert read_by.chosen is not None
    assert read_by.data is not None
    assert read_by.data.category == read_by.chosen.category
    assert 0 < (read_by.chosen.confidence or 0) <= 1


@pytest.mark.parametrize(
    ("row", "field", "value", "cause"),
    [
        ("...,a,,,,", "word", "...", "has no letter or digit"),
        ("p\u0430ypal,a,,,,", "word", "p\u0430ypal", "mixes CYRILLIC and LATIN letters"),
        ("x" * 257 + ",a,,,,", "word", "x" * 60, "length <= 256"),
        ("quiet,,,,,", "", "", "selects no item; fill match, where or items"),
        ("quiet,...,,,,", "match", "...", "no letter or digit"),
        ("quiet," + "m" * 1025 + ",,,,", "match", "m" * 60, "length <= 1024"),
        ("quiet,,brand = hp,,,", "where", "brand = hp", "'hp' at character 9"),
        ("quiet,,," + "|".join(map(str, range(10_001))) + ",,", "items", None, "10000"),
        ("quiet,a,,,smell,", "category", "smell", "'smell' is none of entity"),
        ("quiet,a,,,,soon", "until", "soon", "is no time"),
        ("quiet,a,,,,2020-01-01", "until", "2020-01-01", "give a later time"),
        ("quiet,a", "", "quiet", "has 2 cells"),
    ],
)
def test_what_is_wrong_in_a_row_is_told_with_its_column(
    tmp_path: Path, row: str, field: str, value: str | None, cause: str
) -> None:
    rows = read(tmp_path, f"word,match,where,items,category,until\nfine,a,,,brand,\n{row}\n")
    assert [one.problems for one in rows[:-1]] == [()]
    (problem,) = rows[-1].problems
    assert (rows[-1].line, rows[-1].data, problem.field) == (3, None, field)
    assert value in (None, problem.value)
    assert cause in problem.cause


def test_a_word_that_is_there_twice_is_told_with_the_line_of_the_first(tmp_path: Path) -> None:
    rows = read(tmp_path, "word,match,category\nToner Kits,a,brand\ntoner kit,b,brand\n")
    assert rows[0].problems == ()
    assert "spelled like the word of line 2" in rows[1].problems[0].cause


def test_an_event_that_is_too_large_is_told(tmp_path: Path) -> None:
    topology = Topology.load().edited({"limits.event_bytes": 2048})
    ids = "|".join(f"item-{number}" for number in range(200))
    (row,) = read(tmp_path, f"word,items,category\nquiet,{ids},brand\n", topology)
    assert "limits.event_bytes allows 2048" in row.problems[0].cause


def test_a_missing_owner_is_told_where_the_topology_asks_for_one(tmp_path: Path) -> None:
    topology = Topology.load().edited({"terms.required": ["owner"]})
    (row,) = read(tmp_path, "word,match,category\nquiet,a,brand\n", topology)
    assert (row.problems[0].field, "terms.required" in row.problems[0].cause) == ("owner", True)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "has no column word"),
        ("word,match\n", "has no row"),
        ("word,colour\nquiet,a\n", "has the column 'colour'; the first line names the columns"),
        ("word,word\nquiet,a\n", "has the column 'word'"),
        (b"word,match\nqui\xe9t,a\n", "is not UTF-8"),
        ('word,match\nquiet,"a\n', "line 2: is no CSV: unexpected end of data"),
        ('word,match\nquiet,"a"b\n', "is no CSV"),
        ("word,match\nquiet," + "a" * 300_000 + "\n", "field larger than field limit (262144)"),
        (
            "word,category\n" + "\n".join(f"w{n},x" for n in range(ROWS + 1)),
            "more than 10,000 rows",
        ),
    ],
)
def test_a_file_that_is_no_table_is_refused_as_a_whole(
    tmp_path: Path, text: str | bytes, cause: str
) -> None:
    with pytest.raises(TermRefused) as refused:
        read(tmp_path, text)
    assert cause in str(refused.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TermRefused, match="cannot be read"):
        read_table(tmp_path / "none.csv", Topology.load(), "ann", NOW_MS)
