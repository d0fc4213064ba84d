r"""Records of delimited text: CSV as spreadsheets, databases and Python write it, and TSV.

A record is read in the first of these ways that gives a cell for each column:

strict     quoted cells, in which a quote is doubled (RFC 4180)
escaped    the same with \" for a quote, as MySQL and PHP write it
plain      TSV: one line, whose quotes are letters
lenient    CSV: one line, whose quotes are in the wrong places

A quote that is not closed would make the following rows part of its cell. So a line that opens one
is rejected alone, and the lines after it are read as rows.
"""

import csv
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from kae.streams.catalog.delimiter import LINE_END, SEPARATOR_LINE
from kae.streams.catalog.records import RECORD_BYTES, FeedRecord, UnreadableRecord
from kae.streams.errors import CatalogInvalid

# A quote after an odd number of backslashes.
_ESCAPED_QUOTE = re.compile(r'(?<!\\)((?:\\\\)*)\\"')
_FOREIGN_BYTE = re.compile("[\udc80-\udcff]")
_LETTERS, _DIGITS = re.compile(r"[^\W\d_]+"), re.compile(r"\d+")
_CLOSE = "close the quote, or double each quote inside a quoted cell"


class DelimitedText:
    """The header and the records of decoded lines, which keep their line ends."""

    def __init__(self, path: Path, lines: Iterable[str], delimiter: str) -> None:
        csv.field_size_limit(RECORD_BYTES)
        self._path = path
        self._delimiter = delimiter
        self._lines = _Lines(lines)
        self._strict = csv.reader(self._lines, delimiter=delimiter, strict=True)
        doubled = map(_double_escaped_quotes, self._lines)
        self._escaped = csv.reader(doubled, delimiter=delimiter, strict=True)
        self.header = self._read_header()

    def records(self) -> Iterator[FeedRecord]:
        """Yield the records; rows without any value and repeated headers are none."""
        header, taken, read = self.header, self._lines.taken, self._strict.__next__
        names, width = frozenset(header), len(header)
        while True:
            taken.clear()
            row: list[str] | UnreadableRecord
            try:
                strict = read()
            except StopIteration:
                return
            except csv.Error as error:
                row = self._second_reading(None, str(error), width)
            else:
                odd = len(strict) != width
                if (odd or strict[0] in names or strict[-1] in names) and _is_header(strict, names):
                    header = _names(strict)
                    names, width = frozenset(header), len(header)
                    continue
                several = len(taken) != 1
                row = self._second_reading(strict, "", width) if odd or several else strict
            if isinstance(row, UnreadableRecord):
                yield row
                continue
            if not any(map(str.strip, row)):
                continue
            text = taken[0] if len(taken) == 1 else "".join(taken)
            if not_utf8(text):
                shown = readable(text.strip(LINE_END))
                yield UnreadableRecord(shown, "is not UTF-8", "save the file as UTF-8")
            else:
                # CSV has no null: an empty cell counts as null.
                yield {name: cell or None for name, cell in zip(header, row, strict=True)}

    def _read_header(self) -> tuple[str, ...]:
        cells: list[str] = []
        lenient = csv.reader(self._lines, delimiter=self._delimiter)
        while not cells:
            self._lines.taken.clear()
            try:
                cells = next(lenient, [""])
            except csv.Error as error:
                raise CatalogInvalid(
                    f"{self._path}: the header is no CSV: {error}; correct it"
                ) from error
            if SEPARATOR_LINE.fullmatch("".join(self._lines.taken).strip(LINE_END)):
                cells = []
        if not any(name.strip() for name in cells):
            raise CatalogInvalid(
                f"{self._path}: its first line names no column; begin with a header"
            )
        names = _names(cells)
        for name in names:
            if not_utf8(name):
                shown = readable(name)
                raise CatalogInvalid(
                    f"{self._path}: the column {shown!r} is not UTF-8; save it as UTF-8"
                )
        check_distinct(self._path, names)
        return names

    def _second_reading(
        self, row: list[str] | None, error: str, width: int
    ) -> list[str] | UnreadableRecord:
        """Read again what the strict way read as `row`, or refused."""
        lines = list(self._lines.taken)
        if row == [] or SEPARATOR_LINE.fullmatch(lines[0].strip(LINE_END)):
            return []
        strict = None if row is None else _fitting(row, width)
        swallowed = self._swallowed(lines, width, bool(error))
        if '\\"' in lines[0]:
            escaped = self._read_escaped(width)
            taken = self._lines.taken
            better = strict is None or swallowed or len(taken) < len(lines)
            if escaped is not None and better and not self._swallowed(taken, width, False):
                return escaped
            self._take(lines)
        if strict is not None and not swallowed:
            return strict
        first = lines[0].rstrip(LINE_END)
        if self._delimiter == "\t":
            plain = _fitting(first.split("\t"), width)
        else:
            plain = _lenient(lines[0], self._delimiter, width) if error else None
        if plain is not None and (self._delimiter == "\t" or len(lines) == 1):
            self._give_back_after_first()
            return plain
        return self._unreadable(lines, row, error, width, swallowed)

    def _unreadable(
        self, lines: Sequence[str], row: list[str] | None, error: str, width: int, swallowed: bool
    ) -> UnreadableRecord:
        if swallowed:
            self._give_back_after_first()
            reason = "opens a quote that would make the following rows part of its cell"
            return UnreadableRecord(readable(lines[0].strip(LINE_END)), reason, _CLOSE)
        text = readable("".join(lines).strip(LINE_END))
        if row is None:
            return UnreadableRecord(text[:RECORD_BYTES], *_told(error))
        reason = f"has {len(row)} cells under {width} columns"
        return UnreadableRecord(text, reason, "quote cells that hold a delimiter or a line break")

    def _swallowed(self, lines: Sequence[str], width: int, refused: bool) -> bool:
        """Whether the lines after the first look like rows of their own.

        A text of several lines may be quoted, with delimiters in it. It is taken for rows if its
        first line and another one have a cell for each column, and begin alike, as "G-13" and
        "G-2" do; if its quotes are wrong anyway, the other line is enough.
        """
        first = lines[0].split(self._delimiter)
        if not refused and len(first) != width:
            return False
        return any(
            len(cells) == width and (refused or _alike(first[0], cells[0]))
            for line in lines[1:]
            for cells in _cells(line, self._delimiter)
        )

    def _read_escaped(self, width: int) -> list[str] | None:
        self._take([])
        try:
            return _fitting(next(self._escaped, []), width)
        except csv.Error:
            return None

    def _take(self, lines: Sequence[str]) -> None:
        """Go back to the start of the record, and take these lines of it."""
        self._lines.give_back(0)
        for _ in lines:
            next(self._lines)

    def _give_back_after_first(self) -> None:
        self._lines.give_back(1)


class _Lines:
    """Lines that can be given back; `taken` are those of the current record."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._next = iter(lines).__next__
        self._returned: deque[str] = deque()
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else self._next()
        self.taken.append(line)
        return line

    def give_back(self, start: int) -> None:
        self._returned.extendleft(reversed(self.taken[start:]))
        del self.taken[start:]


def check_distinct(path: Path, columns: Sequence[str]) -> None:
    """Raises: CatalogInvalid if two columns have the same name."""
    for name, uses in Counter(columns).items():
        if uses > 1:
            raise CatalogInvalid(
                f"{path}: has {uses} columns of the name {name!r}; give each its own name"
            )


def not_utf8(text: str) -> bool:
    """Whether a text decoded with surrogateescape had bytes that are not UTF-8."""
    return not text.isascii() and _FOREIGN_BYTE.search(text) is not None


def readable(text: str) -> str:
    """Return the text with its non-UTF-8 bytes as escapes."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _names(cells: Sequence[str]) -> tuple[str, ...]:
    """Return the columns; one without a name, such as pandas' index, is named by its place."""
    return tuple(
        name.strip().lstrip("\ufeff") or f"column {place}" for place, name in enumerate(cells, 1)
    )


def _is_header(row: Sequence[str], names: frozenset[str]) -> bool:
    """Whether a row is a header too, as where two exports were put together."""
    again = _names(row)
    known = names.intersection(again)
    return len(known) > 1 and 2 * len(known) >= len(again) == len(set(again))


def _fitting(row: list[str], width: int) -> list[str] | None:
    """Return the row with as many cells as columns; further ones may be empty."""
    return row[:width] if len(row) >= width and not any(map(str.strip, row[width:])) else None


def _lenient(line: str, delimiter: str, width: int) -> list[str] | None:
    """Read one line as Python's csv does, which accepts quotes anywhere; None if one is open."""
    try:
        # Of two lines, an open quote makes one record.
        rows = list(islice(csv.reader([line, "end"], delimiter=delimiter), 2))
    except csv.Error:
        return None
    return _fitting(rows[0], width) if len(rows) == 2 else None


def _told(error: str) -> tuple[str, str]:
    """Return reason and remedy for what the strict way of csv refuses."""
    if "expected after" in error:
        return "has a quote inside a quoted cell that is not doubled", _CLOSE
    if "end of data" in error:
        return "has a quote that is not closed", _CLOSE
    return error, "close the quote, or shorten the cell"


def _cells(line: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the cells of a line, once with its quotes as letters and once as csv reads them."""
    yield line.rstrip(LINE_END).split(delimiter)
    with suppress(csv.Error):
        yield next(csv.reader([line], delimiter=delimiter), [])


def _double_escaped_quotes(line: str) -> str:
    return _ESCAPED_QUOTE.sub(r'\1""', line)


def _alike(one: str, other: str) -> bool:
    """Whether two ids have the same form; numbers may differ by a digit in length."""
    forms = [_LETTERS.sub("a", cell.strip().strip('"')) for cell in (one, other)]
    numbers = [_DIGITS.findall(form) for form in forms]
    return _DIGITS.sub("9", forms[0]) == _DIGITS.sub("9", forms[1]) and all(
        abs(len(a) - len(b)) <= 1 for a, b in zip(*numbers, strict=True)
    )
