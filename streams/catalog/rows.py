"""The rows of a catalog: each record of its feed files is an item, or is rejected with a reason.

The columns that topology.yaml names become the item's own values. Every other column, and every
entry of a column that maps names to values, becomes a field. Null values are skipped.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from kae.encoders.items import Item
from kae.streams.catalog.files import FeedFile, open_feed
from kae.streams.catalog.records import FeedRecord, UnreadableRecord
from kae.streams.catalog.values import (
    FieldValues,
    RecordInvalid,
    add_field,
    keep_allowed,
    read_id,
    read_popularity,
    read_revision,
    read_text,
    show_value,
)
from kae.streams.errors import CatalogInvalid
from kae.streams.topology.parts import CatalogPart

# In a feed without a header, the columns of so many records are checked before reading.
PEEKED_RECORDS = 100
# Magento repeats an item for each store view, with its texts in another language.
STORE_VIEW = "store_view_code"


class FeedPosition(NamedTuple):
    """A position between two rows: files read, and rows read of the next file."""

    files: int
    rows: int


BEGINNING = FeedPosition(0, 0)


@dataclass(frozen=True, slots=True)
class FeedRow:
    """A row of a feed that is an item."""

    file: Path
    after: FeedPosition  # the position after this row
    item: Item
    revision: int | None  # None: the feed has no revisions
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row of a feed that is not an item, and why."""

    file: Path
    after: FeedPosition
    field: str  # "" for the whole row
    value: object
    reason: str
    remedy: str
    record: Mapping[str, Any] | str  # the row as it was read

    def __str__(self) -> str:
        where = f"{self.file} row {self.after.rows}"
        what = f"{self.field} is {show_value(self.value)}: " if self.field else ""
        return f"{where}: {what}{self.reason}; {self.remedy}"


def open_catalog(paths: Sequence[Path], catalog: CatalogPart) -> list[FeedFile]:
    """Open and check all files before any row is read.

    Raises: CatalogInvalid if a file cannot be read or lacks a column that topology.yaml names, or
    if there are no rows.
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
            # JSON records may omit values.
            may_be_absent = feed.columns is None and key in ("description", "popularity")
            # Without any record there are no columns to check; each row is rejected by itself.
            if columns and column not in columns and not may_be_absent:
                raise CatalogInvalid(
                    f"{feed.path}: has no column {column!r}, which catalog.{key} names; "
                    f"its columns are {', '.join(columns)}; correct catalog.{key} in "
                    f"topology.yaml (`kae catalog inspect {feed.path}` proposes a mapping)"
                )
    return feeds


def open_feeds(paths: Sequence[Path]) -> list[FeedFile]:
    """Open all files, whatever their columns.

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
        if not isinstance(record, UnreadableRecord):
            columns.update(dict.fromkeys(record))
    return list(columns)


def read_rows(
    feeds: Sequence[FeedFile], catalog: CatalogPart, start: FeedPosition = BEGINNING
) -> Iterator[FeedRow | RejectedRow]:
    """Yield the rows after `start`, in order and in bounded memory.

    Raises: CatalogInvalid if a file is truncated.
    """
    for index, feed in enumerate(feeds[start.files :], start.files):
        skipped = start.rows if index == start.files else 0
        for number, record in enumerate(feed.read(skipped), skipped + 1):
            yield read_row(feed.path, FeedPosition(index, number), record, catalog)


def read_items(paths: Sequence[Path], catalog: CatalogPart) -> Iterator[Item]:
    """Yield the items of files in order, without rejected rows.

    Raises: CatalogInvalid.
    """
    rows = read_rows(open_catalog(paths, catalog), catalog)
    return (row.item for row in rows if isinstance(row, FeedRow))


def read_row(
    file: Path, after: FeedPosition, record: FeedRecord, catalog: CatalogPart
) -> FeedRow | RejectedRow:
    """Read one record as an item, or as a rejected row with the reason.

    Neither contains any field that `catalog.allowed_fields` leaves out.
    """
    if isinstance(record, UnreadableRecord):
        text = record.text if catalog.allowed_fields is None else ""
        return RejectedRow(file, after, "", None, record.reason, record.remedy, text)
    if catalog.allowed_fields is not None:
        record = keep_allowed(record, own_columns(catalog), catalog.allowed_fields)
    try:
        item = to_item(record, catalog)
        return FeedRow(file, after, item, read_revision(record, catalog.revision), record)
    except RecordInvalid as error:
        return RejectedRow(
            file, after, error.field, error.value, error.reason, error.remedy, record
        )


def store_view(record: Mapping[str, Any]) -> str | None:
    """Return the store view whose texts a row has; None for the item itself."""
    view = record.get(STORE_VIEW)
    return view if isinstance(view, str) and view else None


def own_columns(catalog: CatalogPart) -> frozenset[str | None]:
    """Return the columns that become the item's own values."""
    return frozenset(
        (catalog.id, catalog.title, catalog.description, catalog.popularity, catalog.revision)
    )


def to_item(record: Mapping[str, Any], catalog: CatalogPart) -> Item:
    """Read one record as an item.

    Raises: RecordInvalid.
    """
    own = own_columns(catalog)
    item_id = read_id(record, catalog.id)
    fields: FieldValues = {}
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
