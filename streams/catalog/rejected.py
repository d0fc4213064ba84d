"""The rows of a feed that are not items, written down one JSON object a line.

Ids that a feed says twice: of one revision, no row is newer than the other.

Eight bytes are kept for each id, so a feed of 100 million rows needs 0.8 GB; two ids with one hash
are as good as never met below that.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
from numpy.typing import NDArray

from kae.streams.catalog.rows import FeedRow, RejectedRow
from kae.streams.catalog.values import spell
from kae.streams.errors import CatalogInvalid


class RejectedRows:
    """A file that appears with its first row; `size_bytes` is what an earlier ingest left valid."""

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
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> IO[bytes]:
        file = self.path.open("ab")
        # What a killed ingest wrote behind its last saved place comes again.
        file.truncate(self.size_bytes)
        return file


def _line(row: RejectedRow) -> bytes:
    described = {
        "file": str(row.file),
        "row": row.after.rows,
        "field": row.field,
        "value": spell(row.value) if row.field else None,
        "reason": row.reason,
        "remedy": row.remedy,
        "record": row.record,
    }
    return msgspec.json.encode(described, enc_hook=str) + b"\n"


# Hashes are kept in a set until there are so many of them, then in one sorted array.
_RECENT = 1 << 20


def reject_repeated(
    rows: Iterable[FeedRow | RejectedRow], id_column: str
) -> Iterator[FeedRow | RejectedRow]:
    """Pass rows on; a row whose id came before becomes a rejected one."""
    seen = _SeenIds()
    for row in rows:
        if isinstance(row, FeedRow) and seen.note(row.item.id):
            yield RejectedRow(
                row.file,
                row.after,
                id_column,
                row.item.id,
                "an earlier row has this id",
                "keep one row for each id, or name the column that tells the newer one in "
                "catalog.revision",
                row.record,
            )
        else:
            yield row


class _SeenIds:
    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._older: NDArray[np.uint64] = np.empty(0, np.uint64)

    def note(self, item_id: str) -> bool:
        """Whether the id was noted before."""
        digest = blake2b(item_id.encode(), digest_size=8).digest()
        number = int.from_bytes(digest, "big")
        if number in self._recent or self._is_older(number):
            return True
        self._recent.add(number)
        if len(self._recent) == _RECENT:
            recent = np.fromiter(self._recent, np.uint64, _RECENT)
            self._older = np.sort(np.concatenate([self._older, recent]), kind="stable")
            self._recent = set()
        return False

    def _is_older(self, number: int) -> bool:
        place = int(np.searchsorted(self._older, np.uint64(number))) if len(self._older) else 0
        return place < len(self._older) and int(self._older[place]) == number
