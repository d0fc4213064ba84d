"""A catalog: rows of feed files, each an item or a rejected row with its reason.

The columns that topology.yaml names become the item's own values; every other column, and every
entry of a column that maps names to values, becomes a field. Null says nothing and is skipped.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from kae.encoders.items import Item
from kae.streams.catalog.files import FeedFile, FeedRecord, Unreadable, open_feed
from kae.streams.catalog.values import (
    Fields,
    NotAnItem,
    add_field,
    only,
    read_id,
    read_popularity,
    read_revision,
    read_text,
    spell,
)
from kae.streams.errors import CatalogInvalid
from kae.streams.topology.parts import CatalogPart

# Records of a feed without a header that are looked at before any row is read.
PEEKED_RECORDS = 100


class Position(NamedTuple):
    """A place between two rows: how many files are read, and how many rows of the next one."""

    files: int
    rows: int


BEGINNING = Position(0, 0)


@dataclass(frozen=True, slots=True)
class FeedRow:
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
        what = f"{self.field} is {spell(self.value)}: " if self.field else ""
        return f"{where}: {what}{self.reason}; {self.remedy}"


def open_catalog(paths: Sequence[Path], catalog: CatalogPart) -> list[FeedFile]:
    """Look at every file before any row is read.

    Raises: CatalogInvalid if a file cannot be read or lacks a column that topology.yaml names, or
    if there is no row at all.
    """
    feeds = open_feeds(paths)
    named = {
        key: getattr(catalog, key)
        for key in ("id", "title", "description", "popularity", "revision")
        if getattr(catalog, key) is not None
    }
    for feed in feeds:
        columns = _peeked_columns(feed) if feed.columns is None else feed.columns
        for key, column in named.items():
            # A record without a header leaves out what it has no value for.
            may_be_absent = feed.columns is None and key in ("description", "popularity")
            if column not in columns and not may_be_absent:
                raise CatalogInvalid(
                    f"{feed.path}: has no column {column!r}, which catalog.{key} names; "
                    f"its columns are {', '.join(columns)}; correct catalog.{key} in "
                    f"topology.yaml (`kae catalog inspect {feed.path}` proposes a mapping)"
                )
    return feeds


def open_feeds(paths: Sequence[Path]) -> list[FeedFile]:
    """Look at every file, whatever its columns are called.

    Raises: CatalogInvalid.
    """
    feeds = [open_feed(path) for path in paths]
    if not any(feed.rows for feed in feeds):
        names = ", ".join(str(feed.path) for feed in feeds)
        raise CatalogInvalid(f"{names}: no row to read; fetch the feed again")
    return feeds


def _peeked_columns(feed: FeedFile) -> list[str]:
    columns: dict[str, None] = {}
    for record in islice(feed.read(), PEEKED_RECORDS):
        if not isinstance(record, Unreadable):
            columns.update(dict.fromkeys(record))
    return list(columns)


def read_rows(
    feeds: Sequence[FeedFile], catalog: CatalogPart, start: Position = BEGINNING
) -> Iterator[FeedRow | RejectedRow]:
    """Yield the rows behind `start`, in order and in bounded memory.

    Raises: CatalogInvalid if a file breaks off.
    """
    for index, feed in enumerate(feeds[start.files :], start.files):
        skipped = start.rows if index == start.files else 0
        for number, record in enumerate(feed.read(skipped), skipped + 1):
            yield to_row(feed.path, Position(index, number), record, catalog)


def read_items(paths: Sequence[Path], catalog: CatalogPart) -> Iterator[Item]:
    """Yield the items of files in order; rejected rows are left out.

    Raises: CatalogInvalid.
    """
    rows = read_rows(open_catalog(paths, catalog), catalog)
    return (row.item for row in rows if isinstance(row, FeedRow))


def to_row(
    file: Path, after: Position, record: FeedRecord, catalog: CatalogPart
) -> FeedRow | RejectedRow:
    """Read one record as an item, or tell why it is none.

    Of what `catalog.allowed_fields` leaves out nothing goes on, be the row an item or rejected.
    """
    if isinstance(record, Unreadable):
        text = record.text if catalog.allowed_fields is None else ""
        return RejectedRow(file, after, "", None, record.reason, record.remedy, text)
    if catalog.allowed_fields is not None:
        record = only(record, own_columns(catalog), catalog.allowed_fields)
    try:
        item = to_item(record, catalog)
        return FeedRow(file, after, item, read_revision(record, catalog.revision), record)
    except NotAnItem as error:
        return RejectedRow(
            file, after, error.field, error.value, error.reason, error.remedy, record
        )


def own_columns(catalog: CatalogPart) -> frozenset[str | None]:
    """The columns that become the item's own values."""
    return frozenset(
        (catalog.id, catalog.title, catalog.description, catalog.popularity, catalog.revision)
    )


def to_item(record: Mapping[str, Any], catalog: CatalogPart) -> Item:
    """Read one record as an item.

    Raises: NotAnItem.
    """
    own = own_columns(catalog)
    item_id = read_id(record, catalog.id)
    fields: Fields = {}
    for column, value in record.items():
        if column not in own:
            add_field(fields, column, value, catalog.separator)
    return Item(
        id=item_id,
        title=read_text(record, catalog.title, required=True),
        description=read_text(record, catalog.description),
        fields=fields,
        popularity=read_popularity(record, catalog.popularity),
    )
