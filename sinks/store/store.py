"""The RocksDB store of one shard: a fold of its delta log, on disk.

One store, one writer. Everything a delta changes, its version, chain hash and source positions
included, is one WriteBatch, so the store is always exactly some version of its log.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from kae.sinks.log.edits import (
    Attach,
    Delta,
    DropItem,
    Head,
    ItemHead,
    PutItem,
    ShardEdit,
    decode_edit,
    decode_head,
    decode_shard_edit,
)
from kae.sinks.log.fold import LogCorrupt, LogState
from kae.sinks.store import keys
from kae.sinks.store.disk import DiskFull
from kae.sinks.store.plan import DeltaPlan
from kae.sinks.store.rocks import (
    RocksSnapshots,
    RocksStore,
    StoreDamaged,
    StoreForeign,
    StoreUnusable,
    WriteBatch,
)
from kae.sinks.store.state import StoreState, add_to_sum, content_hash, head_digest, row_digest
from kae.sinks.store.write_batch import DeltaWriteBatch

# So many rows of the trie stay in a processor's cache until they are parsed.
PATHS_AT_ONCE = 2048


class _Format(msgspec.Struct, frozen=True, array_like=True):
    """The first element of `state` in every format, older and newer."""

    format: int


class StoredPaths(NamedTuple):
    """Own paths of live items, by column. Shapes: identifiers (6, n), the others (n,)."""

    identifiers: NDArray[np.uint16]
    ordinals: NDArray[np.uint32]
    popularity: NDArray[np.float32]


class AppliedDelta(NamedTuple):
    """The edits of a delta that was applied.

    `moved` are the ordinals of items that a put or a drop gave other bindings.
    """

    edits: Sequence[ShardEdit]
    moved: BitMap


class ShardStore:
    """Items, trie rows and attachments of one shard."""

    def __init__(
        self,
        folder: Path,
        write_buffer_bytes: int = 64 << 20,
        sync_writes: bool = False,
        *,
        read_only: bool = False,
        secondary_folder: Path | None = None,
    ) -> None:
        """Open or create the store.

        `sync_writes` waits for the disk at each delta; without it a power cut costs some reading
        of the log, never data. `read_only` changes no file in the folder.
        `secondary_folder` opens the store of another process, which goes on writing, as it is now:
        as a RocksDB secondary, whose own log goes to that folder. Open it again to read a newer
        version. RocksDB could let it catch up, but then answers from the secondary's memory for
        keys that the primary has written to a table since.

        Raises: StoreUnusable when the folder is locked or the system refuses it; StoreForeign,
        StoreDamaged, DiskFull.
        """
        self.folder = folder
        self._rocks = RocksStore(
            folder,
            write_buffer_bytes,
            sync_writes,
            read_only=read_only,
            secondary_folder=secondary_folder,
        )
        self.digests: dict[bytes, int] = {}
        self.log_name = ""  # what the state keeps from the next delta on
        try:
            self.state = self._read_state()
            self.bindings: Mapping[int, Attach] = dict(self._read_bindings())
            self.attached: Mapping[int, BitMap] = self._read_attached()
            self._require_sum("terms and their items", self.state.bindings_sum, self._bindings_sum)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the folder; safe to call twice."""
        self._rocks.close()

    @property
    def next_ordinal(self) -> int:
        return self.state.next_ordinal

    @property
    def live(self) -> int:
        return self.state.live

    # What planning reads.

    def heads(self, ids: Sequence[str]) -> dict[str, Head]:
        """The heads of those of some items that this shard has ever seen."""
        rows = self._rocks.multi_get(keys.ITEMS, [keys.item_key(i) for i in ids])
        return {i: decode_head(row) for i, row in zip(ids, rows, strict=True) if row is not None}

    def item(self, item_id: str) -> PutItem | DropItem | None:
        row = self._rocks.get(keys.ITEMS, keys.item_key(item_id))
        if row is None:
            return None
        edit = decode_edit(row)
        if not isinstance(edit, PutItem | DropItem):
            raise StoreUnusable(f"{self.folder}: item {item_id!r} is a {type(edit).__name__}")
        return edit

    def ids_at(self, ordinals: Iterable[int]) -> list[str]:
        """The item ids of those ordinals that are live, in the order given."""
        rows = self._rocks.multi_get(keys.ORDINALS, [keys.ordinal_key(o) for o in ordinals])
        return [row.decode() for row in rows if row is not None]

    def rows_at(self, ordinals: Iterable[int]) -> list[bytes]:
        """The encoded PutItems of those ordinals that are live, in the order given."""
        ids = self._rocks.multi_get(keys.ORDINALS, [keys.ordinal_key(o) for o in ordinals])
        rows = self._rocks.multi_get(
            keys.ITEMS, [item_id for item_id in ids if item_id is not None]
        )
        return [row for row in rows if row is not None]

    def items(self) -> Iterator[PutItem]:
        """Every live item, in the order of its id's bytes."""
        for _, row in self._rocks.rows(keys.ITEMS):
            edit = decode_edit(row)
            if isinstance(edit, PutItem):
                yield edit

    def paths(self) -> Iterator[StoredPaths]:
        """The own paths of the live items, in the order of the trie, in chunks.

        Raises: StoreDamaged.
        """
        read = 0
        for some in self._rocks.chunks(keys.TRIE, PATHS_AT_ONCE):
            joined = b"".join(chain.from_iterable(some))
            if len(joined) == len(some) * keys.TRIE_ROW_BYTES:
                paths = StoredPaths(*keys.parse_trie_rows(joined))
            else:  # rows of older releases have no value
                paths = self._paths_of([key for key, _ in some])
            read += len(some)
            yield paths
        if read != self.live:
            raise StoreDamaged(
                self.folder, f"of {self.live:,} live items it has {read:,} identifiers"
            )

    def _paths_of(self, trie_keys: Sequence[bytes]) -> StoredPaths:
        """Paths whose popularity is read from the items' own rows."""
        rows = self.rows_at(keys.parse_trie(key)[1] for key in trie_keys)
        heads = [head for row in rows if isinstance(head := decode_head(row), ItemHead)]
        values = [keys.trie_value(head.popularity) for head in heads]
        joined = b"".join(chain.from_iterable(zip(trie_keys, values, strict=True)))
        return StoredPaths(*keys.parse_trie_rows(joined))

    def attached_to(self, ordinal: int) -> tuple[int, ...]:
        """The bindings of one item, in order."""
        return tuple(sorted(b for b, members in self.attached.items() if ordinal in members))

    # What folding writes.

    def apply(self, delta: Delta, log: LogState, plan: DeltaPlan | None = None) -> AppliedDelta:
        """Write one accepted delta; `log` is the log's state after it.

        A delta that the store already has changes nothing. `plan` is the one that the shard's
        owner made the delta from: its edits are decoded, and what they replace has been read.
        Raises: LogCorrupt when the delta holds an edit that belongs in no shard's log; DiskFull,
        and the store is what it was before. RocksDB takes writes again some seconds after there
        is room for a write buffer.
        """
        if delta.version <= self.state.version:
            return AppliedDelta((), BitMap())
        if plan is not None:
            edits, raw, before = plan.edits, plan.raw, plan.before
        else:
            edits = [_shard_edit(edit) for edit in delta.edits]
            raw = list(map(bytes, delta.edits))
            before = self.heads(_changed_ids(edits))
        rows = self._rocks.batch()
        batch = DeltaWriteBatch(self, before, rows, self._rocks.handles)
        for edit, row in zip(edits, raw, strict=True):
            batch.add(edit, row)
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
            items_sum=_changed_sum(self.state.items_sum, batch.items_change),
            bindings_sum=_changed_sum(self.state.bindings_sum, batch.bindings_change),
            log=self.log_name or self.state.log,
        )
        self._write(rows, state)
        self.state = state
        self.attached, self.bindings = batch.attached, batch.bindings
        return AppliedDelta(edits, batch.moved)

    def ingest(
        self, tables: dict[str, list[Path]], next_ordinal: int, live: int, items_sum: int
    ) -> None:
        """Add tables, by column family, to an empty store, which stays at version 0.

        Raises: DiskFull.
        """
        self.state = msgspec.structs.replace(
            self.state, next_ordinal=next_ordinal, live=live, items_sum=items_sum
        )
        self._rocks.ingest(tables)
        self._write(self._rocks.batch(), self.state)

    def _write(self, rows: WriteBatch, state: StoreState) -> None:
        rows.put(keys.STATE, msgspec.msgpack.encode(state), self._rocks.handles[keys.META])
        try:
            self._rocks.write(rows)
        except DiskFull:
            # The batch has changed them already.
            self.digests.clear()
            self.bindings = dict(self._read_bindings())
            self.attached = self._read_attached()
            raise

    # What checks the store.

    def check(self) -> None:
        """Read every row once.

        Raises: StoreDamaged when a row cannot be read, when rows of live items are missing, or when
        the rows do not belong to the version in the state.
        """
        live = items_sum = expected = 0
        for key, row in self._rocks.rows(keys.ITEMS):
            head = decode_head(row)
            items_sum += head_digest(head)
            if isinstance(head, ItemHead):
                live += 1
                expected ^= hash(keys.trie_key(head.identifier, head.ordinal))
                expected ^= hash((head.ordinal, key))
        rows = {name: sum(1 for _ in self._rocks.rows(name)) for name in keys.COLUMN_FAMILIES}
        counts = (live, rows[keys.ORDINALS], rows[keys.TRIE])
        if counts != (self.live,) * len(counts):
            raise StoreDamaged(
                self.folder,
                "of {:,} live items it has {:,}, {:,} ordinals and {:,} identifiers".format(
                    self.live, *counts
                ),
            )
        if not rows[keys.META] and any(rows.values()):
            raise StoreDamaged(self.folder, "it has rows, but none with its version")
        self._require_sum("items", self.state.items_sum, add_to_sum(0, items_sum))
        for key, item_id in self._rocks.rows(keys.ORDINALS):
            expected ^= hash((keys.parse_ordinal(key), item_id))
        for key, _ in self._rocks.rows(keys.TRIE):
            expected ^= hash(key)
        if expected:
            raise StoreDamaged(self.folder, "its identifiers and ordinals do not match its items")

    @property
    def _bindings_sum(self) -> int:
        return add_to_sum(0, sum(self.digests.values()))

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

    def snapshots(self) -> RocksSnapshots:
        """Every column family as it is now, for point reads that later deltas do not affect."""
        return self._rocks.snapshots()

    def checkpoint(self, folder: Path) -> None:
        """Write a copy of this store to a new folder on the same disk.

        Memory is flushed first; files that never change are linked, not copied.
        Raises: DiskFull; the folder may exist then.
        """
        self._rocks.checkpoint(folder)

    def dump(self) -> dict[str, list[tuple[bytes, bytes]]]:
        """Every row of every column family."""
        return {name: list(self._rocks.rows(name)) for name in keys.COLUMN_FAMILIES}

    def _read_state(self) -> StoreState:
        (row,) = self._rocks.multi_get(keys.META, [keys.STATE])
        if row is None:
            return StoreState(items_sum=0, bindings_sum=0)
        # The format first: in another format the rest may have another shape.
        try:
            found = msgspec.msgpack.decode(row, type=_Format).format
            if found == keys.FORMAT:
                return msgspec.msgpack.decode(row, type=StoreState)
        except msgspec.DecodeError as error:
            raise StoreDamaged(self.folder, f"its state: {error}") from error
        raise StoreForeign(
            f"{self.folder}: store format {found}, this kae reads {keys.FORMAT}. "
            "Delete the folder; it is rebuilt from the log"
        )

    def _read_bindings(self) -> Iterator[tuple[int, Attach]]:
        for key, row in self._rocks.rows(keys.BINDINGS):
            self.digests[key] = row_digest(key, row)
            yield keys.parse_binding(key), msgspec.msgpack.decode(row, type=Attach)

    def _read_attached(self) -> dict[int, BitMap]:
        attached = {binding: BitMap() for binding in self.bindings}
        for key, row in self._rocks.rows(keys.ATTACHED):
            binding, _ = keys.parse_attached(key)
            if binding not in attached:
                raise StoreDamaged(self.folder, f"items of binding {binding}, but not the binding")
            self.digests[key] = row_digest(key, row)
            attached[binding] |= BitMap.deserialize(row)
        return attached


def _changed_sum(total: int | None, change: int) -> int | None:
    return None if total is None else add_to_sum(total, change)


def _changed_ids(edits: Iterable[ShardEdit]) -> list[str]:
    """The ids of the items that some edits put or drop."""
    return sorted({edit.id for edit in edits if isinstance(edit, ItemHead | DropItem)})


def _shard_edit(raw: msgspec.Raw) -> ShardEdit:
    try:
        return decode_shard_edit(raw)
    except msgspec.ValidationError as error:
        raise LogCorrupt(
            f"a {type(decode_edit(raw)).__name__} has no place in a shard's log. "
            "Give kae a topics.prefix of its own"
        ) from error
