"""The rows of a feed that are not items, written down one JSON object a line."""

from pathlib import Path
from typing import IO

import msgspec

from kae.streams.catalog import RejectedRow
from kae.streams.catalog_values import spell
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
