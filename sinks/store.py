"""The RocksDB store of one shard: a fold of its delta log, on disk.

One store, one writer. Everything a delta changes, its version, chain hash and source positions
included, is one WriteBatch, so the store is always exactly some version of its log.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap
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
    WriteBatch,
    WriteOptions,
)

from kae.sinks import keys
from kae.sinks.batch import Batch
from kae.sinks.disk import DiskFull, tells_full
from kae.sinks.edits import (
    Attach,
    Counts,
    Delta,
    DropItem,
    Head,
    ItemHead,
    PutItem,
    ShardEdit,
    Source,
    decode_edit,
    decode_head,
    decode_shard_edit,
)
from kae.sinks.fold import LogCorrupt, LogState
from kae.sinks.plan import Plan
from kae.sinks.sums import added, head_digest, row_digest

# One for all column families; RocksDB would give each a cache of blocks of its own.
CACHE_BYTES = 64 << 20
# A write-ahead log stays until every column family has written the rows that it holds. `items`
# fills its buffers in seconds and `bindings` perhaps never, which by RocksDB's own measure would
# keep 56 buffers' worth of log on the disk. Beyond this many, `bindings` is written too.
WAL_BUFFERS = 2
# Options want one; a table is written without.
TABLE_BUFFER_BYTES = 1 << 20
# Rows that are read together; of items, some megabytes.
ROWS_AT_ONCE = 1 << 13
# Of the trie, which are small.
PATHS_AT_ONCE = 1 << 16

# How RocksDB's text begins when a checksum does not agree.
_DAMAGED = "Corruption:"


class StoreUnusable(Exception):
    """A folder that cannot serve as this shard's store."""


class StoreDamaged(StoreUnusable):
    """A store whose files are not what was written; it is to be rebuilt."""

    def __init__(self, folder: Path, what: object) -> None:
        super().__init__(
            f"{folder}: the store is damaged: {what}. Delete the folder, it is rebuilt from a "
            "snapshot and the log; and see to the disk"
        )


class _Format(msgspec.Struct, frozen=True, array_like=True):
    """The first element of `state` in every format, older and newer."""

    format: int


class Paths(NamedTuple):
    """Own paths of live items, by column. Shapes: identifiers (6, n), the others (n,)."""

    identifiers: NDArray[np.uint16]
    ordinals: NDArray[np.uint32]
    popularity: NDArray[np.float32]


class StoreState(msgspec.Struct, frozen=True, array_like=True):
    """The one row of `meta`: which version of its log the store is."""

    format: int = keys.FORMAT
    epoch: int = 0
    nonce: bytes = b""
    fingerprint: str = ""
    version: int = 0
    hash: bytes = bytes(16)
    offset: int = -1
    tail: bytes = b""
    source: Source = Source()
    counts: Counts = Counts()
    next_ordinal: int = 0
    live: int = 0
    # Of rows (sums.py); None in stores of before: it is not known what they should be.
    items_sum: int | None = None
    bindings_sum: int | None = None

    def log_state(self) -> LogState:
        """Where to go on reading the log."""
        return LogState(
            epoch=self.epoch,
            nonce=self.nonce,
            fingerprint=self.fingerprint,
            version=self.version,
            hash=self.hash,
            offset=self.offset,
            tail=self.tail,
            next_offset=self.offset + 1,
        )


class ShardStore:
    """Items, trie rows and attachments of one shard."""

    def __init__(
        self,
        folder: Path,
        write_buffer_bytes: int = 64 << 20,
        sync_writes: bool = False,
        *,
        read_only: bool = False,
        beside: Path | None = None,
    ) -> None:
        """Open or create the store.

        `sync_writes` waits for the disk at each delta; without it a power cut costs some reading
        of the log, never data. `read_only` leaves every file in the folder as it is.
        `beside` opens the store of another process of this machine, which goes on writing, to be
        read as it is now: a RocksDB secondary, whose notes go to that folder. Open it anew to see
        more: RocksDB lets it catch up, but then answers for a key from what its own memory had,
        where the writer has written that key to a table since.

        Raises: StoreUnusable when the folder is locked, unreadable or of another format;
        StoreDamaged, DiskFull.
        """
        self.folder = folder
        access = AccessType.read_write()
        if read_only:
            access = AccessType.read_only()
        elif beside is not None:
            access = AccessType.secondary(str(beside))
        owned = not (read_only or beside)
        self._db = _open(folder, write_buffer_bytes, access, create=owned)
        self._families = {name: self._db.get_column_family(name) for name in keys.COLUMN_FAMILIES}
        self._handles: dict[str, ColumnFamily] = {
            name: self._db.get_column_family_handle(name) for name in keys.COLUMN_FAMILIES
        }
        self._write_options = WriteOptions()
        self._write_options.sync = sync_writes
        self._refused = False
        self.digests: dict[bytes, int] = {}
        try:
            self.state = self._read_state()
            self.bindings: dict[int, Attach] = dict(self._read_bindings())
            self.attached: dict[int, BitMap] = self._read_attached()
            self._require_sum("terms and their items", self.state.bindings_sum, self._bindings_sum)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the folder back; safe to call twice."""
        self._handles.clear()
        for opened in (*self._families.values(), self._db):
            try:
                opened.close()
            except Exception as error:  # rocksdict raises bare Exception for every cause
                # It is closed all the same; what the disk did not take is read from the log.
                if not (self._refused or tells_full(error) or _DAMAGED in str(error)):
                    raise
        self._families.clear()

    @property
    def next_ordinal(self) -> int:
        return self.state.next_ordinal

    @property
    def live(self) -> int:
        return self.state.live

    # What planning reads.

    def heads(self, ids: Sequence[str]) -> dict[str, Head]:
        """The heads of those items that this shard has ever seen."""
        rows = self._many(keys.ITEMS, [keys.item_key(i) for i in ids])
        return {i: decode_head(row) for i, row in zip(ids, rows, strict=True) if row is not None}

    def item(self, item_id: str) -> PutItem | DropItem | None:
        row = self._families[keys.ITEMS].get(keys.item_key(item_id))
        if row is None:
            return None
        edit = decode_edit(row)
        if not isinstance(edit, PutItem | DropItem):
            raise StoreUnusable(f"{self.folder}: item {item_id!r} is a {type(edit).__name__}")
        return edit

    def ids_at(self, ordinals: Iterable[int]) -> list[str]:
        """The item ids of live ordinals, in their order."""
        rows = self._many(keys.ORDINALS, [keys.ordinal_key(o) for o in ordinals])
        return [row.decode() for row in rows if row is not None]

    def rows_at(self, ordinals: Iterable[int]) -> list[bytes]:
        """The PutItems, as in the log, of those ordinals that are live, in their order."""
        ids = self._many(keys.ORDINALS, [keys.ordinal_key(o) for o in ordinals])
        rows = self._many(keys.ITEMS, [item_id for item_id in ids if item_id is not None])
        return [row for row in rows if row is not None]

    def items(self) -> Iterator[PutItem]:
        """Every live item, in the order of its id's bytes."""
        for _, row in self._rows(keys.ITEMS):
            edit = decode_edit(row)
            if isinstance(edit, PutItem):
                yield edit

    def paths(self) -> Iterator[Paths]:
        """The own paths of the live items, in the order of the trie, many at once.

        Raises: StoreDamaged.
        """
        read = 0
        for some in self._chunks(keys.TRIE, PATHS_AT_ONCE):
            joined = b"".join(chain.from_iterable(some))
            if len(joined) == len(some) * keys.TRIE_ROW_BYTES:
                paths = Paths(*keys.parse_trie_rows(joined))
            else:  # rows of before have no value
                paths = self._paths_of([key for key, _ in some])
            read += len(some)
            yield paths
        if read != self.live:
            raise StoreDamaged(
                self.folder, f"of {self.live:,} live items it has {read:,} identifiers"
            )

    def _paths_of(self, trie_keys: Sequence[bytes]) -> Paths:
        """Paths whose popularity the items' own rows tell."""
        rows = self.rows_at(keys.parse_trie(key)[1] for key in trie_keys)
        heads = [head for row in rows if isinstance(head := decode_head(row), ItemHead)]
        values = [keys.trie_value(head.popularity) for head in heads]
        joined = b"".join(chain.from_iterable(zip(trie_keys, values, strict=True)))
        return Paths(*keys.parse_trie_rows(joined))

    def attached_to(self, ordinal: int) -> tuple[int, ...]:
        """The bindings of one item, rising."""
        return tuple(sorted(b for b, members in self.attached.items() if ordinal in members))

    # What folding writes.

    def apply(self, delta: Delta, log: LogState, plan: Plan | None = None) -> BitMap:
        """Write one accepted delta; `log` is the log's state after it.

        Returns the ordinals of those that were put or dropped and have other bindings now.
        A delta that the store has already is passed over. The plan spares the owner, who has just
        made it, from decoding and reading again.
        Raises: DiskFull; the store is what it was before. RocksDB takes writes again some seconds
        after there is room for a write buffer.
        """
        if delta.version <= self.state.version:
            return BitMap()
        plan = plan or self.planned(delta)
        rows = WriteBatch(raw_mode=True)
        batch = Batch(self, plan.before, rows, self._handles)
        for edit, raw in zip(plan.edits, plan.raw, strict=True):
            batch.add(edit, raw)
        batch.finish()
        state = StoreState(
            epoch=log.epoch,
            nonce=log.nonce,
            fingerprint=log.fingerprint,
            version=log.version,
            hash=log.hash,
            offset=log.offset,
            tail=log.tail,
            source=delta.source,
            counts=self.state.counts + delta.counts,
            next_ordinal=batch.next_ordinal,
            live=batch.live,
            items_sum=_moved(self.state.items_sum, batch.items_change),
            bindings_sum=_moved(self.state.bindings_sum, batch.bindings_change),
        )
        rows.put(keys.STATE, msgspec.msgpack.encode(state), self._handles[keys.META])
        self._write(rows)
        self.state = state
        return batch.moved

    def planned(self, delta: Delta) -> Plan:
        """A delta as its owner planned it.

        Raises: LogCorrupt when it holds an edit that is none of a shard's.
        """
        edits = [_shard_edit(raw) for raw in delta.edits]
        items = sorted({edit.id for edit in edits if isinstance(edit, ItemHead | DropItem)})
        return Plan(edits, delta.counts, self.heads(items), list(map(bytes, delta.edits)))

    def fill(
        self, tables: dict[str, list[Path]], next_ordinal: int, live: int, items_sum: int
    ) -> None:
        """Take tables, by column family, into an empty store; it stays at version 0.

        Raises: DiskFull.
        """
        moving = IngestExternalFileOptions()
        moving.set_move_files(True)
        rows = WriteBatch(raw_mode=True)
        self.state = msgspec.structs.replace(
            self.state, next_ordinal=next_ordinal, live=live, items_sum=items_sum
        )
        rows.put(keys.STATE, msgspec.msgpack.encode(self.state), self._handles[keys.META])
        try:
            for name, paths in tables.items():
                if paths:
                    self._families[name].ingest_external_file([str(p) for p in paths], moving)
        except Exception as error:  # rocksdict raises bare Exception for every cause
            if tells_full(error):
                raise DiskFull(self.folder) from error
            raise
        self._write(rows)

    def _write(self, rows: WriteBatch) -> None:
        try:
            self._db.write(rows, self._write_options)
        except Exception as error:  # rocksdict raises bare Exception for every cause
            if not tells_full(error):
                raise
            self._refused = True
            # The batch has moved them on already.
            self.digests.clear()
            self.bindings = dict(self._read_bindings())
            self.attached = self._read_attached()
            raise DiskFull(self.folder) from error

    # What proves.

    def check(self) -> None:
        """Read every row once.

        Raises: StoreDamaged when one cannot be read, when there are not those of all live items, or
        when they are not those of the version that the store says it is.
        """
        live = items_sum = expected = 0
        for key, row in self._rows(keys.ITEMS):
            head = decode_head(row)
            items_sum += head_digest(head)
            if isinstance(head, ItemHead):
                live += 1
                expected ^= hash(keys.trie_key(head.identifier, head.ordinal))
                expected ^= hash((head.ordinal, key))
        rows = {name: sum(1 for _ in self._rows(name)) for name in keys.COLUMN_FAMILIES}
        counts = (live, rows[keys.ORDINALS], rows[keys.TRIE])
        if counts != (self.live,) * len(counts):
            raise StoreDamaged(
                self.folder,
                "of {:,} live items it has {:,}, {:,} ordinals and {:,} identifiers".format(
                    self.live, *counts
                ),
            )
        if not rows[keys.META] and any(rows.values()):
            raise StoreDamaged(self.folder, "it has rows, and none that says of which version")
        self._require_sum("items", self.state.items_sum, added(0, items_sum))
        for key, item_id in self._rows(keys.ORDINALS):
            expected ^= hash((keys.parse_ordinal(key), item_id))
        for key, _ in self._rows(keys.TRIE):
            expected ^= hash(key)
        if expected:
            raise StoreDamaged(self.folder, "its identifiers and ordinals are not its items'")

    @property
    def _bindings_sum(self) -> int:
        return added(0, sum(self.digests.values()))

    def _require_sum(self, what: str, expected: int | None, found: int) -> None:
        if expected is not None and found != expected:
            raise StoreDamaged(
                self.folder, f"its {what} are not those of version {self.state.version}"
            )

    def content_hash(self) -> str:
        """The digest of (item id, revision, identifier, terms) over the live items, by id."""
        return content_hash(
            (
                item.id,
                item.revision,
                item.identifier,
                sorted(self.bindings[b].term for b in self.attached_to(item.ordinal)),
            )
            for item in self.items()
        )

    def snapshots(self) -> dict[str, Snapshot]:
        """Every column family as it is now, for point reads that later deltas do not move."""
        return {name: family.snapshot() for name, family in self._families.items()}

    def checkpoint(self, folder: Path) -> None:
        """Lay a store like this one at a folder that is not there yet, on the same disk.

        What is in memory is written first; the files that never change are linked, not copied.
        Raises: DiskFull; the folder may be there then.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            Checkpoint(self._db).create_checkpoint(str(folder))
        except Exception as error:  # rocksdict raises bare Exception for every cause
            if tells_full(error):
                raise DiskFull(folder) from error
            raise

    def trie_rows(self) -> Iterator[tuple[tuple[int, ...], int]]:
        """Every (identifier, ordinal) of the trie, in order."""
        for key, _ in self._rows(keys.TRIE):
            yield keys.parse_trie(key)

    def dump(self) -> dict[str, list[tuple[bytes, bytes]]]:
        """Every row of every column family."""
        return {name: list(self._rows(name)) for name in keys.COLUMN_FAMILIES}

    def _many(self, family: str, wanted: Iterable[bytes]) -> list[bytes | None]:
        with self._naming_damage():
            rows: list[bytes | None] = self._families[family].get(list(wanted)) or []
        return rows

    def _rows(self, family: str) -> Iterator[tuple[bytes, bytes]]:
        return chain.from_iterable(self._chunks(family))

    def _chunks(self, family: str, most: int = ROWS_AT_ONCE) -> Iterator[list[tuple[bytes, bytes]]]:
        """All rows, many at once: a step of Python for each costs more than reading it."""
        rows: Iterator[tuple[bytes, bytes]] = self._families[family].items()  # type: ignore[assignment]
        last = None
        while some := list(islice(rows, most)):
            last = some[-1][0]
            yield some
        self._require_end(family, last)

    def _require_end(self, family: str, last: bytes | None) -> None:
        """Refuse rows that ended at a block that cannot be read.

        rocksdict's iterators end there as if there was no more. Going on from the last row meets
        the block again, and this time its status is asked for.
        """
        again = self._families[family].iter()
        if last is None:
            again.seek_to_first()
        else:
            again.seek(last)
            if again.valid():
                again.next()
        with self._naming_damage():
            again.status()

    @contextmanager
    def _naming_damage(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # rocksdict raises bare Exception for every cause
            if _DAMAGED not in str(error):
                raise
            raise StoreDamaged(self.folder, error) from error

    def _read_state(self) -> StoreState:
        (row,) = self._many(keys.META, [keys.STATE])
        if row is None:
            return StoreState(items_sum=0, bindings_sum=0)
        # Alone first: of another format, the rest may have another shape.
        found = msgspec.msgpack.decode(row, type=_Format).format
        if found != keys.FORMAT:
            raise StoreUnusable(
                f"{self.folder}: store format {found}, this kae reads {keys.FORMAT}. "
                "Delete the folder; it is rebuilt from the log"
            )
        return msgspec.msgpack.decode(row, type=StoreState)

    def _read_bindings(self) -> Iterator[tuple[int, Attach]]:
        for key, row in self._rows(keys.BINDINGS):
            self.digests[key] = row_digest(key, row)
            yield keys.parse_binding(key), msgspec.msgpack.decode(row, type=Attach)

    def _read_attached(self) -> dict[int, BitMap]:
        attached = {binding: BitMap() for binding in self.bindings}
        for key, row in self._rows(keys.ATTACHED):
            binding, _ = keys.parse_attached(key)
            if binding not in attached:
                raise StoreDamaged(self.folder, f"items of binding {binding}, and not the binding")
            self.digests[key] = row_digest(key, row)
            attached[binding] |= BitMap.deserialize(row)
        return attached


class Table:
    """A file of rows in the order of their keys, for `fill`: five times as fast as batches."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = SstFileWriter(_family_options(TABLE_BUFFER_BYTES, BlockBasedOptions()))
        self._writer.open(str(path))

    def add(self, key: bytes, value: bytes) -> None:
        """Raises: DiskFull."""
        try:
            self._writer[key] = value
        except Exception as error:  # rocksdict raises bare Exception for every cause
            self._refuse(error)

    @property
    def bytes(self) -> int:
        return self._writer.file_size()

    def finish(self) -> None:
        """Write what is left; a table without rows cannot be finished.

        Raises: DiskFull.
        """
        try:
            self._writer.finish()
        except Exception as error:  # rocksdict raises bare Exception for every cause
            self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        if tells_full(error):
            raise DiskFull(self._path) from error
        raise error


def _moved(total: int | None, change: int) -> int | None:
    return None if total is None else added(total, change)


def content_hash(rows: Iterable[tuple[str, int, tuple[int, ...], list[str]]]) -> str:
    """The digest of (item id, revision, identifier, sorted terms) rows in the order given."""
    encoder = msgspec.msgpack.Encoder()
    total = blake2b(digest_size=16)
    for row in rows:
        total.update(encoder.encode(row))
    return total.hexdigest()


def _shard_edit(raw: msgspec.Raw) -> ShardEdit:
    try:
        return decode_shard_edit(raw)
    except msgspec.ValidationError as error:
        raise LogCorrupt(
            f"a {type(decode_edit(raw)).__name__} has no place in a shard's log. "
            "Give kae a topics.prefix of its own"
        ) from error


def _open(folder: Path, write_buffer_bytes: int, access: AccessType, *, create: bool) -> Rdict:
    tables = BlockBasedOptions()
    tables.set_block_cache(Cache(CACHE_BYTES))
    # Those of the family that is never used: RocksDB recovers from a full disk once the largest
    # write buffer has room.
    options = _family_options(write_buffer_bytes, tables)
    options.create_if_missing(create)
    options.create_missing_column_families(create)
    options.set_max_total_wal_size(WAL_BUFFERS * write_buffer_bytes)
    families = {name: _family_options(write_buffer_bytes, tables) for name in keys.COLUMN_FAMILIES}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return Rdict(str(folder), options, families, access)
    except Exception as error:  # rocksdict raises bare Exception for every cause
        if tells_full(error):
            raise DiskFull(folder) from error
        if _DAMAGED in str(error):
            raise StoreDamaged(folder, error) from error
        remedy = (
            "Another worker or replica has it open: stop that one or use another --data folder"
            if "lock" in str(error).lower()
            else "Check the folder's permissions and disk, or delete it: it is rebuilt from the log"
        )
        raise StoreUnusable(f"{folder}: cannot open the store: {error}. {remedy}") from error


def _family_options(write_buffer_bytes: int, tables: BlockBasedOptions) -> Options:
    options = Options(raw_mode=True)
    options.set_write_buffer_size(write_buffer_bytes)
    options.set_block_based_table_factory(tables)
    return options
