"""Feed files as records: Parquet, JSON and CSV, read from front to back in bounded memory.

Text is UTF-8, with or without a byte order mark, and may be compressed by gzip or zstd.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from kae.streams.catalog.bytes import COMPRESSED_SUFFIXES, TextFile, detect_compression
from kae.streams.catalog.delimited import DelimitedText, check_distinct
from kae.streams.catalog.delimiter import find_delimiter, read_head
from kae.streams.catalog.json_records import read_arrays, read_objects, starts_array
from kae.streams.catalog.records import FeedRecord
from kae.streams.errors import CatalogInvalid, NotInstalled


@dataclass(frozen=True, slots=True)
class FeedFile:
    """An opened feed file."""

    path: Path
    rows: int  # exact for Parquet; for text an upper bound, as its lines or braces are
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
        ".jsonl": lambda path: _open_json(detect_compression(path)),
        ".ndjson": lambda path: _open_json(detect_compression(path)),
        ".json": lambda path: _open_json(detect_compression(path)),
        ".csv": lambda path: _open_delimited(detect_compression(path), prefer_tab=False),
        ".tsv": lambda path: _open_delimited(detect_compression(path), prefer_tab=True),
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

        from kae.streams.catalog.parquet import open_parquet, read_groups
    except ModuleNotFoundError as error:
        raise NotInstalled(f"{path}: Parquet needs pyarrow: pip install 'kae[live]'") from error

    def records(row_groups: Sequence[int] | None = None) -> Iterator[FeedRecord]:
        return read_groups(path, row_groups)

    if path.stat().st_size == 0:
        raise CatalogInvalid(f"{path}: is empty; fetch it again, or leave it out")
    try:
        with open_parquet(path) as file:
            columns = tuple(file.schema_arrow.names)
            check_distinct(path, columns)
            about = file.metadata
            row_groups = tuple(about.row_group(n).num_rows for n in range(about.num_row_groups))
            return FeedFile(path, about.num_rows, columns, records, row_groups, records)
    except pyarrow.ArrowException as error:
        raise CatalogInvalid(f"{path}: is no Parquet file: {error}; fetch it again") from error


def _open_json(text: TextFile) -> FeedFile:
    if starts_array(text):
        return FeedFile(text.path, text.count(b"{"), None, lambda: read_arrays(text))
    return FeedFile(text.path, text.lines(), None, lambda: read_objects(text))


def _open_delimited(text: TextFile, prefer_tab: bool) -> FeedFile:
    with text.open() as file:
        delimiter = find_delimiter(read_head(file), prefer_tab)

    def records() -> Iterator[FeedRecord]:
        with _letters(text) as letters:
            yield from DelimitedText(text.path, letters, delimiter).records()

    with _letters(text) as letters:
        header = DelimitedText(text.path, letters, delimiter).header
    return FeedFile(text.path, max(0, text.lines() - 1), header, records)


@contextmanager
def _letters(text: TextFile) -> Iterator[io.TextIOWrapper]:
    with text.open() as file:
        letters = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
        try:
            yield letters
        finally:
            letters.detach()  # text.open() closes the file
