"""A CSV table of terms, one a row, read into binds and the problems of each row.

The columns are those of COLUMNS in any order; only `word` is required. Several ids or aliases
in one cell are separated by `|`.
"""

import csv
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from kae.encoders.text.normal_form import normalise
from kae.encoders.text.spelling import mixed_scripts, spelling_key
from kae.streams.clock import parse_time_ms
from kae.streams.errors import TermRefused
from kae.streams.events.envelope import Undecodable
from kae.streams.events.term_data import BindData, SelectorData
from kae.streams.events.terms import decode_term, encode_term, rules_of
from kae.streams.terms.category import CategoryChoice, choose_category
from kae.streams.topology.types import Topology

COLUMNS = (
    "word", "match", "where", "items", "aliases", "category", "owner", "reason", "from", "until",
)  # fmt: skip
SEPARATOR = "|"
NEVER = "never"
ROWS = 10_000
CELL_SHOWN = 60


class RowProblem(msgspec.Struct, frozen=True):
    """A problem of a cell; `field` is its column, or empty for the whole row."""

    field: str
    value: str
    cause: str


@dataclass(frozen=True, slots=True)
class TermRow:
    """A row and its line in the file; `data` is None if the row gives no event."""

    line: int
    word: str
    problems: tuple[RowProblem, ...]
    data: BindData | None = None
    chosen: CategoryChoice | None = None


class _CellInvalid(Exception):
    """A cell that cannot be read; the message is the cause."""

    def __init__(self, field: str, cause: str) -> None:
        super().__init__(cause)
        self.field = field


def read_table(
    path: Path, topology: Topology, by: str, revision: int, *, replace: bool = False
) -> list[TermRow]:
    """Read every row, also those with problems.

    Raises: TermRefused if the file is not such a table.
    """
    rows: list[TermRow] = []
    seen: dict[str, int] = {}
    for line, cells in _cells(path, topology.limits.event_bytes):
        if len(rows) == ROWS:
            raise TermRefused(f"{path}: more than {ROWS:,} rows; divide it")
        row = _row(line, cells, topology, by, revision)
        spelling = spelling_key(normalise(row.word))
        first = seen.setdefault(spelling, line) if spelling else line
        if row.data is not None:
            data = msgspec.structs.replace(row.data, replace=replace)
            row = dataclasses.replace(row, data=data)
        rows.append(row if first == line else _repeated(row, first))
    if not rows:
        raise TermRefused(f"{path}: has no row; give one a word under the header")
    return rows


def _cells(path: Path, cell_bytes: int) -> Iterator[tuple[int, list[str] | dict[str, str]]]:
    """Each row with its line: by column, or as a list if its cells do not match the columns."""
    csv.field_size_limit(cell_bytes)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = _header(path, next(rows, []))
            begin = rows.line_num + 1
            for cells in rows:
                if any(map(str.strip, cells)):
                    whole = len(cells) == len(header)
                    yield (
                        begin,
                        dict(zip(header, map(str.strip, cells), strict=True)) if whole else cells,
                    )
                begin = rows.line_num + 1
    except OSError as error:
        raise TermRefused(f"{path}: cannot be read: {error}; give a CSV file") from error
    except UnicodeDecodeError as error:
        raise TermRefused(f"{path}: is not UTF-8 ({error}); save it as UTF-8") from error
    except csv.Error as error:
        raise TermRefused(
            f"{path}: line {rows.line_num}: is no CSV: {error}; a cell has at most {cell_bytes:,} "
            "characters (limits.event_bytes), and one with a quote or comma stands in quotes"
        ) from error


def _header(path: Path, cells: list[str]) -> list[str]:
    header = [cell.strip().lower() for cell in cells]
    wrong = [cell for cell in header if cell not in COLUMNS or header.count(cell) > 1]
    if wrong or "word" not in header:
        what = f"has the column {wrong[0]!r:.80}" if wrong else "has no column word"
        raise TermRefused(
            f"{path}: line 1: {what}; the first line names the columns, each once, separated by "
            f"commas: {', '.join(COLUMNS)}"
        )
    return header


def _row(
    line: int, cells: list[str] | dict[str, str], topology: Topology, by: str, revision: int
) -> TermRow:
    if isinstance(cells, list):
        cause = f"has {len(cells)} cells, the header has others; give one a column"
        return TermRow(line, cells[0][:CELL_SHOWN], (RowProblem("", cells[0][:CELL_SHOWN], cause),))
    word = cells["word"]
    try:
        _refuse_look_alike(word)
        chosen = choose_category(word, cells.get("category", ""), topology.terms.default_category)
        data = _data(cells, chosen.category, by, revision)
        _refuse_undecodable(word, data, topology)
    except _CellInvalid as error:
        value = cells.get(error.field, "")[:CELL_SHOWN]
        return TermRow(line, word[:CELL_SHOWN], (RowProblem(error.field, value, str(error)),))
    return TermRow(line, word, (), data, chosen)


def _refuse_look_alike(word: str) -> None:
    scripts = mixed_scripts(normalise(word))
    if scripts:
        raise _CellInvalid(
            "word",
            f"mixes {' and '.join(scripts)} letters, so it looks like another word; write it in "
            "one script",
        )


def _data(cells: Mapping[str, str], category: str, by: str, revision: int) -> BindData:
    selector = SelectorData(cells.get("match", ""), _list(cells, "items"), cells.get("where", ""))
    if not (selector.match or selector.items or selector.where):
        raise _CellInvalid("", "selects no item; fill match, where or items")
    until = cells.get("until", "")
    return BindData(
        revision=revision,
        selector=selector,
        aliases=_list(cells, "aliases"),
        category=category,
        owner=cells.get("owner", ""),
        reason=cells.get("reason", ""),
        from_=_moment(cells, "from"),
        until=None if until == NEVER else _moment(cells, "until") or msgspec.UNSET,
        by=by,
    )


def _list(cells: Mapping[str, str], field: str) -> list[str]:
    parts = cells.get(field, "").split(SEPARATOR)
    return [part.strip() for part in parts if part.strip()]


def _moment(cells: Mapping[str, str], field: str) -> datetime | None:
    text = cells.get(field, "")
    try:
        return datetime.fromtimestamp(parse_time_ms(text, 0) / 1000, UTC) if text else None
    except (ValueError, OverflowError) as error:
        raise _CellInvalid(field, f"is no time ({error}); write 2026-07-01T08:00+02:00") from error


def _refuse_undecodable(word: str, data: BindData, topology: Topology) -> None:
    """Decode the event as the registrar does."""
    try:
        event = encode_term(word, data, "/kae/import")
        decode_term(None, event, topology.limits.event_bytes, data.revision, rules_of(topology))
    except Undecodable as error:
        raise _CellInvalid(_column_of(error), str(error)) from error


def _column_of(error: Undecodable) -> str:
    """The column of the place in a kind: match of data.selector.match.length."""
    places = error.kind.split(".")
    # The event's id is made from its subject.
    if places[0] in ("subject", "id"):
        return "word"
    if error.kind == "data.selector.invalid":
        places = [str(error).removeprefix("data.selector: ").partition(" ")[0].rstrip(":")]
    return next((place for place in places if place in COLUMNS), "")


def _repeated(row: TermRow, line: int) -> TermRow:
    cause = f"is spelled like the word of line {line}; leave one of them out, or make it an alias"
    problem = RowProblem("word", row.word[:CELL_SHOWN], cause)
    return TermRow(row.line, row.word, (*row.problems, problem))
