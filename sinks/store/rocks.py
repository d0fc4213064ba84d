"""RocksDB as the stores use it: rows of bytes in column families, and named errors.

The only file that imports rocksdict, which raises a bare Exception for every cause.
"""

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from threading import Event, Lock
from typing import NoReturn

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    Checkpoint,
    ColumnFamily,
    IngestExternalFileOptions,
    Options,
    Rdict,
    Snapshot,
    SstFileWriter,
    WriteOptions,
)
from rocksdict import (
    WriteBatch as WriteBatch,
)

from kae.sinks.store import keys
from kae.sinks.store.disk import DiskFull, is_disk_full

# One cache for all column families of a store; by default RocksDB gives each its own. No cache
# outlives its store: cached blocks would hide that their file has been damaged since.
CACHE_BYTES = 32 << 20
# A write-ahead log stays until every column family has flushed the rows in it. `items` fills its
# buffers in seconds and `bindings` perhaps never, so by default RocksDB would keep 56 buffers of
# log on the disk. Beyond so many buffers it flushes `bindings` too.
WAL_BUFFERS = 2
# Required by the options, and not used to write a table.
TABLE_BUFFER_BYTES = 1 << 20
# Rows of one read; of items that is some megabytes.
ROWS_AT_ONCE = 1 << 13
# The start of RocksDB's message when a checksum does not match.
_DAMAGED = "Corruption:"
# In its message when another process, or this one, has the store open.
_LOCKED = ("While lock file:", "lock hold by")
# What it passes on of the system. These are the operator's or the disk's to mend, and the files may
# be whole; every other error of a store is one of its files.
_SYSTEM = tuple(
    os.strerror(number)
    for number in (
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.EIO,
        errno.ESTALE,
        errno.EBUSY,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
    )
)
# The file that names the newest MANIFEST, and how the names of MANIFESTs, tables and logs begin.
# Without the first, RocksDB begins a new store in the folder.
_CURRENT, _CONTENT = "CURRENT", ("MANIFEST-", "0")
RocksSnapshots = dict[str, Snapshot]


class StoreUnusable(Exception):
    """A folder that cannot serve as this shard's store."""


class StoreDamaged(StoreUnusable):
    """A store whose files are not what was written; it has to be rebuilt."""

    def __init__(self, folder: Path, what: object) -> None:
        super().__init__(
            f"{folder}: the store is damaged: {what}. Delete the folder, it is rebuilt from a "
            "snapshot and the log; and check the disk"
        )


class StoreForeign(StoreUnusable):
    """A store that another release wrote; it has to be rebuilt."""


class RocksStore:
    """The column families of one store."""

    def __init__(
        self,
        folder: Path,
        write_buffer_bytes: int,
        sync_writes: bool = False,
        *,
        read_only: bool = False,
        secondary_folder: Path | None = None,
    ) -> None:
        """As `ShardStore`. Raises: StoreUnusable, StoreDamaged, DiskFull."""
        self.folder = folder
        access = AccessType.read_write()
        if read_only:
            access = AccessType.read_only()
        elif secondary_folder is not None:
            access = AccessType.secondary(str(secondary_folder))
        owned = not (read_only or secondary_folder)
        self._db = _open(folder, write_buffer_bytes, access, create=owned)
        self._families = {name: self._db.get_column_family(name) for name in keys.COLUMN_FAMILIES}
        # How a batch refers to a family.
        self.handles: dict[str, ColumnFamily] = {
            name: self._db.get_column_family_handle(name) for name in keys.COLUMN_FAMILIES
        }
        self._write_options = WriteOptions()
        self._write_options.sync = sync_writes
        self._refused = False

    def close(self) -> None:
        """Release the folder; safe to call twice."""
        self.handles.clear()
        for opened in (*self._families.values(), self._db):
            try:
                opened.close()
            except Exception as error:
                # It is closed nevertheless; what was not written is read again from the log.
                if not (self._refused or is_disk_full(error) or _DAMAGED in str(error)):
                    raise
        self._families.clear()

    # Reading.

    def get(self, family: str, key: bytes) -> bytes | None:
        """The row of one key. Raises: StoreDamaged, StoreUnusable."""
        with self._raising_named():
            row: bytes | None = self._families[family].get(key)
        return row

    def multi_get(self, family: str, wanted: Iterable[bytes]) -> list[bytes | None]:
        """The rows of some keys, in the order of the keys. Raises: StoreDamaged, StoreUnusable."""
        with self._raising_named():
            rows: list[bytes | None] = self._families[family].get(list(wanted)) or []
        return rows

    def rows(self, family: str) -> Iterator[tuple[bytes, bytes]]:
        """Every row, in key order. Raises: StoreDamaged, StoreUnusable."""
        return chain.from_iterable(self.chunks(family))

    def chunks(self, family: str, most: int = ROWS_AT_ONCE) -> Iterator[list[tuple[bytes, bytes]]]:
        """The same in chunks: a step of Python for each row costs more than reading it."""
        rows: Iterator[tuple[bytes, bytes]] = self._families[family].items()  # type: ignore[assignment]
        last = None
        while some := list(islice(rows, most)):
            last = some[-1][0]
            yield some
        self._require_end(family, last)

    def _require_end(self, family: str, last: bytes | None) -> None:
        """Raise if the rows ended at a block that cannot be read.

        There rocksdict's iterators stop as at the end. Going on from the last row meets the block
        again, and this time the iterator's status is read.
        """
        again = self._families[family].iter()
        if last is None:
            again.seek_to_first()
        else:
            again.seek(last)
            if again.valid():
                again.next()
        with self._raising_named():
            again.status()

    @contextmanager
    def _raising_named(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if type(error) is not Exception:  # not RocksDB's
                raise
            self._refused = True
            raise named(self.folder, error) from error

    def snapshots(self) -> RocksSnapshots:
        """Every column family as it is now, for point reads that later writes do not affect."""
        return {name: family.snapshot() for name, family in self._families.items()}

    # Writing.

    @staticmethod
    def batch() -> WriteBatch:
        """An empty batch for `write`; `handles` are its column families."""
        return WriteBatch(raw_mode=True)

    def write(self, rows: WriteBatch) -> None:
        """All of it or nothing. Raises: DiskFull, StoreDamaged, StoreUnusable."""
        with self._raising_named():
            self._db.write(rows, self._write_options)

    def ingest(self, tables: Mapping[str, list[Path]]) -> None:
        """Add finished tables to their families, by moving the files. Raises: DiskFull."""
        moving = IngestExternalFileOptions()
        moving.set_move_files(True)
        with _raising_full(self.folder):
            for name, paths in tables.items():
                if paths:
                    self._families[name].ingest_external_file([str(p) for p in paths], moving)

    def checkpoint(self, folder: Path) -> None:
        """Write a copy of this store to a new folder on the same disk.

        Memory is flushed first; files that never change are linked, not copied.
        Raises: DiskFull; the folder may exist then.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _raising_full(folder):
            Checkpoint(self._db).create_checkpoint(str(folder))


class SortedTable:
    """A table of rows in key order, for `ingest`: five times as fast as batches."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = SstFileWriter(_family_options(TABLE_BUFFER_BYTES, BlockBasedOptions()))
        self._writer.open(str(path))

    def add(self, key: bytes, value: bytes) -> None:
        """Raises: DiskFull."""
        try:
            self._writer[key] = value
        except Exception as error:
            _raise_named(self._path, error)

    @property
    def bytes(self) -> int:
        return self._writer.file_size()

    def finish(self) -> None:
        """Complete the file; a table without rows cannot be completed.

        Raises: DiskFull.
        """
        with _raising_full(self._path):
            self._writer.finish()


@contextmanager
def _raising_full(place: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        _raise_named(place, error)


def _raise_named(place: Path, error: Exception) -> NoReturn:
    if is_disk_full(error):
        raise DiskFull(place) from error
    raise error


def _open(folder: Path, write_buffer_bytes: int, access: AccessType, *, create: bool) -> Rdict:
    tables = BlockBasedOptions()
    tables.set_block_cache(Cache(CACHE_BYTES))
    # The options of the default family, which is never used: RocksDB recovers from a full disk
    # once there is room for the largest write buffer of any family.
    options = _family_options(write_buffer_bytes, tables)
    options.create_if_missing(create)
    options.create_missing_column_families(create)
    options.set_max_total_wal_size(WAL_BUFFERS * write_buffer_bytes)
    families = {name: _family_options(write_buffer_bytes, tables) for name in keys.COLUMN_FAMILIES}
    _require_current(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _first_alone():
            return Rdict(str(folder), options, families, access)
    except Exception as error:
        raise named(folder, error) from error


def _require_current(folder: Path) -> None:
    """Refuse what RocksDB would take for no store, and begin anew without a word.

    Raises: StoreDamaged; StoreUnusable when the folder cannot be read.
    """
    try:
        names = {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise StoreDamaged(folder, "it is a file, not a folder") from error
    except OSError as error:
        raise named(folder, error) from error
    if _CURRENT not in names and any(name.startswith(_CONTENT) for name in names):
        raise StoreDamaged(folder, f"{_CURRENT} is missing")


def named(folder: Path, error: Exception) -> DiskFull | StoreUnusable:
    """What an error of RocksDB, which is only a text, asks the operator for."""
    text = str(error)
    if is_disk_full(error):
        return DiskFull(folder)
    if any(mark in text for mark in _LOCKED):
        remedy = "Another worker or replica has it open: stop that one or use another --data folder"
    elif any(cause in text for cause in _SYSTEM):
        remedy = "Correct the folder's permissions, its mount or its disk, or use another --data"
    else:
        return StoreDamaged(folder, error)
    return StoreUnusable(f"{folder}: cannot use the store: {error}. {remedy}")


# The first open of a process fills registries of RocksDB's without a lock: threads that open their
# first stores side by side can crash it (facebook/rocksdb#13390). Later opens only read them.
_opening_first = Lock()
_first_is_open = Event()


@contextmanager
def _first_alone() -> Iterator[None]:
    """Keep other opens waiting until the first one of this process has succeeded."""
    if not _first_is_open.is_set():
        with _opening_first:
            if not _first_is_open.is_set():
                yield
                _first_is_open.set()
                return
    yield


def _family_options(write_buffer_bytes: int, tables: BlockBasedOptions) -> Options:
    options = Options(raw_mode=True)
    options.set_write_buffer_size(write_buffer_bytes)
    options.set_block_based_table_factory(tables)
    return options
