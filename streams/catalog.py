"""A catalog: rows of feed files, each an item or a rejected row with its reason.

The columns that topology.yaml names become the item's own values; every other column, and every
entry of a column that maps names to values, becomes a field. Null says nothing and is skipped.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from kae.encoders.attributes import Item
from kae.streams.catalog_files import FeedFile, Record, Unreadable, open_feed
from kae.streams.errors import CatalogInvalid
from kae.streams.topology import CatalogPart

Fields = dict[str, str | list[str]]


class Position(NamedTuple):
    """A place between two rows: how many files are read, and how many rows of the next one."""

    files: int
    rows: int


BEGINNING = Position(0, 0)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a feed that is an item."""

    file: Path
    after: Position  # the place behind this row
    item: Item
    revision: int | None  # None: the feed carries none
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row of a feed that is not an item, and why."""

    file: Path
    after: Position
    field: str  # "" for the row as a whole
    value: object
    reason: str
    remedy: str
    record: Mapping[str, Any] | str  # the row as it was read

    def __str__(self) -> str:
        where = f"{self.file} row {self.after.rows}"
        what = f"{self.field} is {_spell(self.value)}: " if self.field else ""
        return f"{where}: {what}{self.reason}; {self.remedy}"


class NotAnItem(ValueError):
    """A record lacks what an item needs, or says it in a way that cannot be read."""

    def __init__(self, field: str, value: object, reason: str, remedy: str) -> None:
        super().__init__(f"{field} is {_spell(value)}: {reason}; {remedy}")
        self.field = field
        self.value = value
        self.reason = reason
        self.remedy = remedy


def open_catalog(paths: Sequence[Path], catalog: CatalogPart) -> list[FeedFile]:
    """Look at every file before any row is read.

    Raises: CatalogInvalid if a file cannot be read or lacks a column that topology.yaml names.
    """
    feeds = [open_feed(path) for path in paths]
    named = {
        key: getattr(catalog, key)
        for key in ("id", "title", "description", "popularity", "revision")
        if getattr(catalog, key) is not None
    }
    for feed in feeds:
        for key, column in named.items():
            if feed.columns is not None and column not in feed.columns:
                raise CatalogInvalid(
                    f"{feed.path}: has no column {column!r}, which catalog.{key} names; "
                    f"its columns are {', '.join(feed.columns)}; "
                    f"correct catalog.{key} in topology.yaml"
                )
    return feeds


def read_rows(
    feeds: Sequence[FeedFile], catalog: CatalogPart, start: Position = BEGINNING
) -> Iterator[Row | RejectedRow]:
    """Yield the rows behind `start`, in order and in bounded memory.

    Raises: CatalogInvalid if a file breaks off.
    """
    for index, feed in enumerate(feeds[start.files :], start.files):
        skipped = start.rows if index == start.files else 0
        for number, record in enumerate(feed.read(skipped), skipped + 1):
            yield _to_row(feed.path, Position(index, number), record, catalog)


def read_items(paths: Sequence[Path], catalog: CatalogPart) -> Iterator[Item]:
    """Yield the items of files in order; rejected rows are left out.

    Raises: CatalogInvalid.
    """
    rows = read_rows(open_catalog(paths, catalog), catalog)
    return (row.item for row in rows if isinstance(row, Row))


def _to_row(file: Path, after: Position, record: Record, catalog: CatalogPart) -> Row | RejectedRow:
    if isinstance(record, Unreadable):
        return RejectedRow(file, after, "", None, record.reason, record.remedy, record.text)
    try:
        item = to_item(record, catalog)
        return Row(file, after, item, _revision(record, catalog.revision), record)
    except NotAnItem as error:
        return RejectedRow(
            file, after, error.field, error.value, error.reason, error.remedy, record
        )


def to_item(record: Mapping[str, Any], catalog: CatalogPart) -> Item:
    """Read one record as an item.

    Raises: NotAnItem.
    """
    own = {catalog.id, catalog.title, catalog.description, catalog.popularity, catalog.revision}
    fields: Fields = {}
    for column, value in record.items():
        if column not in own:
            _add_field(fields, column, value)
    return Item(
        id=_id(record, catalog.id),
        title=_text(record, catalog.title, required=True),
        description=_text(record, catalog.description),
        fields=fields,
        popularity=_popularity(record, catalog.popularity),
    )


def _id(record: Mapping[str, Any], column: str) -> str:
    value = record.get(column)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise NotAnItem(column, value, "an item needs an id", "write text or a whole number")
    return value


def _text(record: Mapping[str, Any], column: str | None, required: bool = False) -> str:
    value = record.get(column) if column else None
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value.strip()):
        raise NotAnItem(str(column), value, "text is needed", "write text there")
    return value


def _popularity(record: Mapping[str, Any], column: str | None) -> float:
    value = record.get(column) if column else None
    if value is None:
        return 0.0
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if number < 0 or not isfinite(number):
        raise NotAnItem(
            str(column), value, "popularity is a number", "write a number that is not negative"
        )
    return number


def _revision(record: Mapping[str, Any], column: str | None) -> int | None:
    if column is None:
        return None
    value = record.get(column)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise NotAnItem(column, value, "a revision is needed", "write a whole number from 0")
    return value


def _add_field(fields: Fields, name: str, value: object) -> None:
    for inner, entry in _entries(name, value):
        if type(entry) is str and inner not in fields:  # nearly all of them
            if entry:
                fields[inner] = entry
            continue
        values = [text for text in (_field_text(inner, part) for part in _parts(entry)) if text]
        known = fields.get(inner)
        if known is not None:
            values = ([known] if isinstance(known, str) else known) + values
        if values:
            fields[inner] = values if isinstance(entry, list) or len(values) > 1 else values[0]


def _entries(name: str, value: object) -> Iterable[tuple[str, object]]:
    """Take a column that maps names to values apart; pyarrow gives a map as a list of pairs."""
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, list) and value and all(isinstance(part, tuple) for part in value):
        return value
    return ((name, value),)


def _parts(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _field_text(name: str, value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "yes" if value else "no"
        case float():
            return repr(value).removesuffix(".0") if isfinite(value) else ""
        case int() | Decimal():
            return str(value)
        case date() | time():
            return value.isoformat()
        case _:
            raise NotAnItem(
                name,
                value,
                "a field is text, a number, or a list of these",
                "flatten the column or leave it out",
            )


def _spell(value: object) -> str:
    spelled = "null" if value is None else repr(value)
    return spelled if len(spelled) <= 60 else spelled[:57] + "..."
