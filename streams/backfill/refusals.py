"""Rows that are refused: written down by the worker that met them, in a file and as dead letters.

Letters wait in the work folder, so that no worker but those that read the items topic needs the
brokers, and are sent before any log is touched.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from kae.encoders.items import Item
from kae.streams.backfill.job import Job
from kae.streams.backfill.work import WorkFolder, beside_of, full_or
from kae.streams.catalog.rejected import RejectedRows
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
    """A row that is no item, or one that cannot be indexed."""

    row: RejectedRow
    letter: DeadLetter


def refused_row(
    row: RejectedRow,
    job: Job,
    max_bytes: int,
    kind: str = causes.ROW_INVALID,
    item: tuple[Item, int] | None = None,
) -> RefusedRow:
    """The letter has the event of the item and revision, or the row as it is when it is no item.

    What is larger than `max_bytes` is in the file alone.
    """
    place = row.after
    key = None
    if item is not None:
        key, value = item[0].id.encode(), encode_item_upsert(*item, SOURCE)
    elif isinstance(row.record, str):
        value = row.record.encode(errors="replace")
    else:
        value = msgspec.json.encode(row.record, enc_hook=str)
    kept = value if len(value) <= max_bytes else None
    changed_ms = job.files[place.files].changed_ns // 1_000_000
    topic = f"{FEED}{row.file}"
    source = SourceRecord(topic, place.files, place.rows, changed_ms, key, kept, ())
    return RefusedRow(row, DeadLetter(source, str(row), kind))


class Refusals:
    """Both files of a split; they have their names once the split is finished."""

    def __init__(self, work: WorkFolder, split: int) -> None:
        self._rows_name, self._letters_name = work.rejected(split), work.letters(split)
        self._rows = RejectedRows(beside_of(self._rows_name), 0)
        self._letters_path = beside_of(self._letters_name)
        self._letters: IO[bytes] | None = None

    @property
    def first(self) -> str:
        """What is said of the first row; empty if none was refused."""
        return str(self._rows.first or "")

    def write(self, refused: Sequence[RefusedRow]) -> None:
        """Raises: CatalogInvalid, DiskFull."""
        for one in refused:
            self._rows.write(one.row)
        block = _encode([one.letter for one in refused])
        try:
            if self._letters is None:
                self._letters = self._letters_path.open("wb")
            self._letters.write(_LENGTH.pack(len(block)) + block)
        except OSError as error:
            raise full_or(error, self._letters_path) from error

    def close(self) -> None:
        self._rows.close()
        if self._letters is not None:
            self._letters.close()

    def finish(self) -> None:
        """Give the files their names, if there are any."""
        if self._letters is not None:
            self._rows.path.replace(self._rows_name)
            self._letters_path.replace(self._letters_name)


def read_letters(path: Path) -> Iterator[list[DeadLetter]]:
    """The letters of a split, a batch at a time."""
    with path.open("rb") as file:
        while length := file.read(_LENGTH.size):
            yield _decode(file.read(_LENGTH.unpack(length)[0]))
