"""Rejected rows: a file with one JSON object for each, and the check for repeated ids.

Without a revision column, a row that repeats an id is rejected, since neither row is newer. Eight
bytes are kept for each id, so 100 million rows need 0.8 GB; below that, a collision of the 64-bit
hashes is very unlikely.
"""

import json
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
from numpy.typing import NDArray

from kae.streams.catalog.rows import STORE_VIEW, FeedRow, RejectedRow, store_view
from kae.streams.catalog.values import show_value
from kae.streams.errors import CatalogInvalid


class RejectedRows:
    """A file made with its first row; the first `size_bytes` of an existing file are kept."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.path = path
        self.size_bytes = size_bytes
        self.first: RejectedRow | None = None
        self._file: IO[bytes] | None = None
        if size_bytes == 0:
            path.unlink(missing_ok=True)

    def write(self, row: RejectedRow) -> None:
        """Append a row.

        Raises: CatalogInvalid if the file cannot be written.
        """
        self.first = self.first or row
        line = _line(row)
        try:
            if self._file is None:
                self._file = self._open()
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise CatalogInvalid(
                f"{self.path}: rejected rows cannot be written there: {error.strerror}; "
                "name a file with --rejected"
            ) from error
        self.size_bytes += len(line)

    def close(self) -> None:
        """Close the file if it was opened."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> IO[bytes]:
        file = self.path.open("ab")
        # Rows that a killed ingest wrote after its last saved position are written again.
        file.truncate(self.size_bytes)
        return file


def _line(row: RejectedRow) -> bytes:
    described = {
        "file": str(row.file),
        "row": row.after.rows,
        "field": row.field,
        "value": show_value(row.value) if row.field else None,
        "reason": row.reason,
        "remedy": row.remedy,
        "record": row.record,
    }
    return record_json(described) + b"\n"


def record_json(record: object) -> bytes:
    """Encode what was read of a row."""
    try:
        return msgspec.json.encode(record, enc_hook=str)
    except (OverflowError, UnicodeEncodeError):
        # A whole number of more than 64 bits, or a lone surrogate.
        return json.dumps(record, default=str).encode()


# A set holds up to so many hashes; then they move into one sorted array.
_RECENT = 1 << 20


def reject_repeated(
    rows: Iterable[FeedRow | RejectedRow], id_column: str
) -> Iterator[FeedRow | RejectedRow]:
    """Yield the rows, rejecting those that repeat an earlier id."""
    seen = _SeenIds()
    for row in rows:
        if isinstance(row, FeedRow) and seen.add(row.item.id):
            yield _repeated(row, id_column)
        else:
            yield row


def reject_store_views(rows: Iterable[FeedRow | RejectedRow]) -> Iterator[FeedRow | RejectedRow]:
    """Yield the rows, rejecting those that repeat an earlier item for a store view."""
    seen = _SeenIds()
    for row in rows:
        if (
            isinstance(row, FeedRow)
            and STORE_VIEW in row.record
            and seen.add(row.item.id)
            and store_view(row.record)
        ):
            yield _repeated(row, STORE_VIEW)
        else:
            yield row


def _repeated(row: FeedRow, id_column: str) -> RejectedRow:
    field, value = id_column, row.item.id
    reason = "an earlier row has this id"
    remedy = "keep one row for each id, or name the column that orders them in catalog.revision"
    if view := store_view(row.record):
        field, value = STORE_VIEW, view
        reason = f"an earlier row is the item {row.item.id!r}, this one has its texts for a view"
        remedy = f"export one store view, or delete the rows that have a {STORE_VIEW}"
    return RejectedRow(row.file, row.after, field, value, reason, remedy, row.record)


class _SeenIds:
    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._older: NDArray[np.uint64] = np.empty(0, np.uint64)

    def add(self, item_id: str) -> bool:
        """Add an id; return whether it was added before."""
        digest = blake2b(item_id.encode(), digest_size=8).digest()
        number = int.from_bytes(digest, "big")
        if number in self._recent or self._in_older(number):
            return True
        self._recent.add(number)
        if len(self._recent) == _RECENT:
            recent = np.fromiter(self._recent, np.uint64, _RECENT)
            self._older = np.sort(np.concatenate([self._older, recent]), kind="stable")
            self._recent = set()
        return False

    def _in_older(self, number: int) -> bool:
        place = int(np.searchsorted(self._older, np.uint64(number))) if len(self._older) else 0
        return place < len(self._older) and int(self._older[place]) == number
