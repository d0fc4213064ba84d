"""Refused rows, which the worker that reads them writes to a file and as dead letters.

The dead letters wait in the work folder, and are published before any log is written. So only the
workers that read the items topic need the brokers.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from kae.encoders.items import Item
from kae.streams.backfill.job import Job
from kae.streams.backfill.work import WorkFolder, disk_full_or, temporary_name
from kae.streams.catalog.rejected import RejectedRows, record_json
from kae.streams.catalog.rows import RejectedRow
from kae.streams.dead_letters.records import FEED, DeadLetter, SourceRecord
from kae.streams.events import causes
from kae.streams.events.items import encode_item_upsert

SOURCE = "/kae/backfill"
_LENGTH = struct.Struct(">I")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[DeadLetter]).decode


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that is not an item, or cannot be indexed."""

    row: RejectedRow
    dead_letter: DeadLetter


def refused_row(
    row: RejectedRow,
    job: Job,
    max_bytes: int,
    kind: str = causes.ROW_INVALID,
    item: tuple[Item, int] | None = None,
) -> RefusedRow:
    """Make the dead letter: of the item's event, or of the row itself if it is not an item.

    A value of more than `max_bytes` is left out of the dead letter; the file has it.
    """
    place = row.after
    key = None
    if item is not None:
        key, value = item[0].id.encode(), encode_item_upsert(*item, SOURCE)
    elif isinstance(row.record, str):
        value = row.record.encode(errors="replace")
    else:
        value = record_json(row.record)
    stored = value if len(value) <= max_bytes else None
    changed_ms = job.files[place.files].changed_ns // 1_000_000
    topic = f"{FEED}{row.file}"
    source = SourceRecord(topic, place.files, place.rows, changed_ms, key, stored, ())
    return RefusedRow(row, DeadLetter(source, str(row), kind))


class Refusals:
    """Writes both files of a split, which get their names once the split is finished."""

    def __init__(self, work: WorkFolder, split: int) -> None:
        self._rows_name, self._dead_letters_name = work.rejected(split), work.dead_letters(split)
        self._rows = RejectedRows(temporary_name(self._rows_name), 0)
        self._dead_letters_path = temporary_name(self._dead_letters_name)
        self._dead_letters: IO[bytes] | None = None

    @property
    def first(self) -> str:
        """The message for the first row; empty if none was refused."""
        return str(self._rows.first or "")

    def write(self, refused: Sequence[RefusedRow]) -> None:
        """Raises: CatalogInvalid, DiskFull."""
        for one in refused:
            self._rows.write(one.row)
        block = _encode([one.dead_letter for one in refused])
        try:
            if self._dead_letters is None:
                self._dead_letters = self._dead_letters_path.open("wb")
            self._dead_letters.write(_LENGTH.pack(len(block)) + block)
        except OSError as error:
            raise disk_full_or(error, self._dead_letters_path) from error

    def close(self) -> None:
        self._rows.close()
        if self._dead_letters is not None:
            self._dead_letters.close()

    def finish(self) -> None:
        """Rename the files, if there are any."""
        if self._dead_letters is not None:
            self._rows.path.replace(self._rows_name)
            self._dead_letters_path.replace(self._dead_letters_name)


def read_dead_letters(path: Path) -> Iterator[list[DeadLetter]]:
    """Read the dead letters of a split, in the batches in which they were written."""
    with path.open("rb") as file:
        while length := file.read(_LENGTH.size):
            yield _decode(file.read(_LENGTH.unpack(length)[0]))
