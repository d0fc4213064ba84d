"""Feed files as records: Parquet, JSON Lines and CSV, read from front to back in bounded memory.

Text is UTF-8, with or without a byte order mark, and may be compressed by gzip or zstd.
"""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from kae.streams.catalog.bytes import COMPRESSED_SUFFIXES, TextFile, detect_compression
from kae.streams.errors import CatalogInvalid, NotInstalled

BATCH_ROWS = 1024
# An unclosed quote would make the rest of a CSV file one cell.
CELL_BYTES = 4 << 20
# Candidates for the delimiter: the most frequent in the header.
DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """A record that is invalid in its format."""

    text: str
    reason: str
    remedy: str


FeedRecord = Mapping[str, Any] | UnreadableRecord


@dataclass(frozen=True, slots=True)
class FeedFile:
    """An opened feed file."""

    path: Path
    rows: int  # exact for Parquet; for text the number of lines, an upper bound
    columns: tuple[str, ...] | None  # None: each record has its own
    records: Callable[[], Iterator[FeedRecord]]
    # Parquet only: the rows of each row group; a group can be read alone.
    row_groups: tuple[int, ...] = ()
    read_some_groups: Callable[[Sequence[int]], Iterator[FeedRecord]] | None = None

    def read_row_groups(self, groups: Sequence[int]) -> Iterator[FeedRecord]:
        """Yield the records of some row groups; all records of a file without row groups.

        Raises: CatalogInvalid if the file is truncated.
        """
        with _naming_file(self.path):
            yield from (
                self.records() if self.read_some_groups is None else self.read_some_groups(groups)
            )

    def read(self, after: int = 0) -> Iterator[FeedRecord]:
        """Yield the records after the first `after`.

        Raises: CatalogInvalid if the file is truncated.
        """
        with _naming_file(self.path):
            yield from islice(self.records(), after, None)


def open_feed(path: Path) -> FeedFile:
    """Open a file and find its rows and columns; a file of text is read to its end once.

    Raises: CatalogInvalid; NotInstalled if the format needs a package that is not installed.
    """
    formats: dict[str, Callable[[Path], FeedFile]] = {
        ".parquet": _open_parquet,
        ".jsonl": lambda path: _open_json_lines(detect_compression(path)),
        ".ndjson": lambda path: _open_json_lines(detect_compression(path)),
        ".csv": lambda path: _open_csv(detect_compression(path)),
        ".tsv": lambda path: _open_csv(detect_compression(path)),
    }
    compressed = path.suffix.lower() in COMPRESSED_SUFFIXES
    suffix = Path(path.stem).suffix.lower() if compressed else path.suffix.lower()
    opening = formats.get(suffix)
    if opening is None or (compressed and opening is _open_parquet):
        raise CatalogInvalid(
            f"{path}: {suffix + path.suffix * compressed or 'no suffix'} is no format that kae "
            f"reads; use one of {', '.join(formats)}, those of text also with "
            f"{', '.join(COMPRESSED_SUFFIXES)}"
        )
    with _naming_file(path):
        return opening(path)


@contextmanager
def _naming_file(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CatalogInvalid(
            f"{path}: cannot be read: {error.strerror or error}; give a readable file"
        ) from error


def _open_parquet(path: Path) -> FeedFile:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise NotInstalled(f"{path}: Parquet needs pyarrow: pip install 'kae[live]'") from error

    def records(row_groups: Sequence[int] | None = None) -> Iterator[FeedRecord]:
        try:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=BATCH_ROWS, row_groups=row_groups):
                    yield from _parquet_records(batch)
        except (pyarrow.ArrowException, OSError) as error:
            raise CatalogInvalid(f"{path}: is damaged: {error}; fetch it again") from error

    if path.stat().st_size == 0:
        raise CatalogInvalid(f"{path}: is empty; fetch it again, or leave it out")
    try:
        with parquet.ParquetFile(path) as file:
            columns = tuple(file.schema_arrow.names)
            _check_distinct(path, columns)
            about = file.metadata
            row_groups = tuple(about.row_group(n).num_rows for n in range(about.num_row_groups))
            return FeedFile(path, about.num_rows, columns, records, row_groups, records)
    except pyarrow.ArrowException as error:
        raise CatalogInvalid(f"{path}: is no Parquet file: {error}; fetch it again") from error


def _parquet_records(batch: Any) -> Iterator[FeedRecord]:
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        # Rare, so only now is each row converted by itself.
        for row in range(batch.num_rows):
            try:
                yield from batch.slice(row, 1).to_pylist()
            except UnicodeDecodeError as error:
                yield UnreadableRecord("", f"is not UTF-8: {error}", "write text as UTF-8")


def _open_json_lines(text: TextFile) -> FeedFile:
    decode = msgspec.json.Decoder(dict[str, Any]).decode

    def records() -> Iterator[FeedRecord]:
        with text.open() as file:
            for line in file:
                if not line.strip():
                    continue
                try:
                    yield decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    shown = line.decode(errors="backslashreplace").strip()
                    yield UnreadableRecord(shown, str(error), "write one JSON object a line")

    with text.open() as file:
        if file.read(BATCH_ROWS).lstrip().startswith(b"["):
            raise CatalogInvalid(
                f"{text.path}: is one JSON array; write one object a line: jq -c '.[]'"
            )
    return FeedFile(text.path, text.lines(), None, records)


def _open_csv(text: TextFile) -> FeedFile:
    csv.field_size_limit(CELL_BYTES)

    def records() -> Iterator[FeedRecord]:
        with _csv_rows(text, delimiter) as rows:
            next(rows)
            yield from _csv_records(rows, header)

    with text.open() as file:
        first_line = file.readline(CELL_BYTES).decode(errors="replace")
    delimiter = max(DELIMITERS, key=first_line.count)
    try:
        with _csv_rows(text, delimiter) as rows:
            header = _header(text.path, next(rows, []))
    except csv.Error as error:
        raise CatalogInvalid(f"{text.path}: the header is no CSV: {error}; correct it") from error
    return FeedFile(text.path, max(0, text.lines() - 1), header, records)


@contextmanager
def _csv_rows(text: TextFile, delimiter: str) -> Iterator[Iterator[list[str]]]:
    with text.open() as file:
        letters = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
        try:
            yield csv.reader(letters, delimiter=delimiter)
        finally:
            letters.detach()  # text.open() closes the file


def _header(path: Path, cells: Sequence[str]) -> tuple[str, ...]:
    """Return the columns; one without a name, such as pandas' index, is named by its place."""
    names = tuple(name.strip() or f"column {place}" for place, name in enumerate(cells, 1))
    if not any(name.strip() for name in cells):
        raise CatalogInvalid(f"{path}: its first line names no column; begin with a header")
    for name in names:
        if not_utf8(name):
            shown = readable(name)
            raise CatalogInvalid(f"{path}: the column {shown!r} is not UTF-8; save it as UTF-8")
    _check_distinct(path, names)
    return names


def _check_distinct(path: Path, columns: Sequence[str]) -> None:
    for name, uses in Counter(columns).items():
        if uses > 1:
            raise CatalogInvalid(
                f"{path}: has {uses} columns of the name {name!r}; give each its own name"
            )


def _csv_records(rows: Iterator[list[str]], header: Sequence[str]) -> Iterator[FeedRecord]:
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield UnreadableRecord("", str(error), "close the quote, or shorten the cell")
            continue
        if row is None:
            return
        text = ",".join(row)
        if not row:
            continue
        if not_utf8(text):
            yield UnreadableRecord(readable(text), "is not UTF-8", "save the file as UTF-8")
        elif len(row) != len(header):
            reason = f"has {len(row)} cells under {len(header)} columns"
            yield UnreadableRecord(
                text, reason, "quote cells that hold a delimiter or a line break"
            )
        else:
            # CSV has no null: an empty cell counts as null.
            yield {name: cell or None for name, cell in zip(header, row, strict=True)}


def not_utf8(text: str) -> bool:
    """Whether a text decoded with surrogateescape had bytes that are not UTF-8."""
    return not text.isascii() and any("\udc80" <= letter <= "\udcff" for letter in text)


def readable(text: str) -> str:
    """Return the text with its non-UTF-8 bytes as escapes."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")
