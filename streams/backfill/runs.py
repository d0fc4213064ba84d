"""Runs: encoded items of a split, sorted within each shard, on their way to the stores.

A run file has a section for each shard; a section has blocks, each of four bytes of length and a
msgpack list of entries. An entry begins with its sort key: the id, then the total order of the
events of an item.
"""

import heapq
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from kae.encoders.categories import Identifier
from kae.streams.backfill.work import disk_full_or, temporary_name

# id, revision, 0 for a delete or 1, content hash; then what the store needs: identifier, the edit.
RunEntry = tuple[bytes, int, int, bytes, Identifier, bytes]
BLOCK_ENTRIES = 256
_LENGTH = struct.Struct(">I")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[RunEntry]).decode


class Section(msgspec.Struct, frozen=True):
    """Where a run has the entries of one shard."""

    run: str
    shard: int
    begin: int
    end: int
    entries: int


def write_run(path: Path, entries: dict[int, list[RunEntry]]) -> list[Section]:
    """Sort the entries of each shard, and write them.

    Raises: DiskFull.
    """
    sections = []
    beside = temporary_name(path)
    try:
        with beside.open("wb") as file:
            for shard in sorted(entries):
                begin, sorted_entries = file.tell(), sorted(entries[shard])
                for first in range(0, len(sorted_entries), BLOCK_ENTRIES):
                    block = _encode(sorted_entries[first : first + BLOCK_ENTRIES])
                    file.write(_LENGTH.pack(len(block)) + block)
                sections.append(Section(path.name, shard, begin, file.tell(), len(sorted_entries)))
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise disk_full_or(error, path) from error
    return sections


def read_section(folder: Path, section: Section) -> Iterator[RunEntry]:
    with (folder / section.run).open("rb") as file:
        file.seek(section.begin)
        while file.tell() < section.end:
            (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
            yield from _decode(file.read(length))


def merge_runs(folder: Path, sections: Sequence[Section]) -> Iterator[RunEntry]:
    """Yield the newest entry of each id, in the order of the ids."""
    newest: RunEntry | None = None
    for entry in heapq.merge(*(read_section(folder, section) for section in sections)):
        if newest is not None and newest[0] != entry[0]:
            yield newest
        newest = entry
    if newest is not None:
        yield newest
