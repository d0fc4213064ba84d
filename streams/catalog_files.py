"""Feed files as records: Parquet, JSON Lines and CSV, read from front to back in bounded memory."""

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from kae.streams.errors import CatalogInvalid, NotInstalled

BATCH_ROWS = 1024
# A quote that is never closed makes the rest of a CSV file one cell.
CELL_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that its format does not allow."""

    text: str
    reason: str
    remedy: str


Record = Mapping[str, Any] | Unreadable


@dataclass(frozen=True, slots=True)
class FeedFile:
    """A feed file that can be read."""

    path: Path
    rows: int  # exact for Parquet; for text the number of lines, an upper bound
    columns: tuple[str, ...] | None  # None: each record has its own
    records: Callable[[], Iterator[Record]]

    def read(self, after: int = 0) -> Iterator[Record]:
        """Yield the records after the first `after`.

        Raises: CatalogInvalid if the file breaks off.
        """
        with _naming(self.path):
            yield from islice(self.records(), after, None)


def open_feed(path: Path) -> FeedFile:
    """Look at a file and tell its rows and columns.

    Raises: CatalogInvalid; NotInstalled if Parquet cannot be read here.
    """
    formats = {
        ".parquet": _open_parquet,
        ".jsonl": _open_json_lines,
        ".ndjson": _open_json_lines,
        ".csv": _open_csv,
    }
    opening = formats.get(path.suffix.lower())
    if opening is None:
        raise CatalogInvalid(
            f"{path}: {path.suffix or 'no suffix'} is no format that kae reads; "
            f"use one of {', '.join(formats)}"
        )
    with _naming(path):
        return opening(path)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
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

    def records() -> Iterator[Record]:
        try:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=BATCH_ROWS):
                    yield from batch.to_pylist()
        except pyarrow.ArrowException as error:
            raise CatalogInvalid(f"{path}: is damaged: {error}; fetch it again") from error

    try:
        with parquet.ParquetFile(path) as file:
            columns = tuple(file.schema_arrow.names)
            return FeedFile(path, file.metadata.num_rows, columns, records)
    except pyarrow.ArrowException as error:
        raise CatalogInvalid(f"{path}: is no Parquet file: {error}; fetch it again") from error


def _open_json_lines(path: Path) -> FeedFile:
    decode = msgspec.json.Decoder(dict[str, Any]).decode

    def records() -> Iterator[Record]:
        with path.open("rb") as file:
            for line in file:
                if not line.strip():
                    continue
                try:
                    yield decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    text = line.decode(errors="backslashreplace").strip()
                    yield Unreadable(text, str(error), "write one JSON object a line")

    return FeedFile(path, _lines(path), None, records)


def _open_csv(path: Path) -> FeedFile:
    csv.field_size_limit(CELL_BYTES)

    def records() -> Iterator[Record]:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            rows = csv.reader(file)
            header = next(rows, [])
            yield from _csv_records(rows, header)

    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        try:
            header = next(csv.reader(file), [])
        except csv.Error as error:
            raise CatalogInvalid(f"{path}: the header is no CSV: {error}; correct it") from error
    return FeedFile(path, max(0, _lines(path) - 1), tuple(header), records)


def _csv_records(rows: Iterator[list[str]], header: list[str]) -> Iterator[Record]:
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield Unreadable("", str(error), "close the quote, or shorten the cell")
            continue
        if row is None:
            return
        text = ",".join(row)
        if not row:
            continue
        if len(row) != len(header):
            reason = f"has {len(row)} cells under {len(header)} columns"
            yield Unreadable(text, reason, "quote cells that hold a comma or a line break")
        elif not text.isascii() and any("\udc80" <= letter <= "\udcff" for letter in text):
            yield Unreadable(text, "is not UTF-8", "save the file as UTF-8")
        else:
            # CSV has no null: an empty cell says nothing.
            yield {name: cell or None for name, cell in zip(header, row, strict=True)}


def _lines(path: Path) -> int:
    lines, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            lines += block.count(b"\n")
            last = block[-1:]
    return lines + (last != b"\n")
