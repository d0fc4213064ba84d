"""Builds a whole store from items in the order of their ids, as tables that RocksDB ingests.

The rows are those that folding the same items would write (write_batch.py), with ordinals in the
order of the ids.
"""

import shutil
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import msgspec

from kae.encoders.categories import Identifier
from kae.sinks.log.edits import ItemHead, decode_head, placed
from kae.sinks.store import keys
from kae.sinks.store.rocks import SortedTable
from kae.sinks.store.state import add_to_sum, head_digest
from kae.sinks.store.store import ShardStore

# A snapshot copies and checks each file as a whole.
TABLE_BYTES = 256 << 20
_CHECK_EVERY = 4096


class BulkItem(NamedTuple):
    """An item's newest edit, without its ordinal."""

    key: bytes
    revision: int
    identifier: Identifier | None  # None: it was dropped
    raw: bytes


class BulkLoaded(msgspec.Struct, frozen=True):
    """The number of items put and dropped, and the content hash of the store."""

    put: int
    dropped: int
    hash: str


class _Tables:
    """The tables of one column family."""

    def __init__(self, folder: Path, family: str) -> None:
        self.paths: list[Path] = []
        self._folder = folder
        self._family = family
        self._open: SortedTable | None = None
        self._rows = 0

    def add(self, key: bytes, value: bytes) -> None:
        if self._open is None:
            path = self._folder / f"{self._family}-{len(self.paths):04d}.sst"
            self.paths.append(path)
            self._open = SortedTable(path)
        self._open.add(key, value)
        self._rows += 1
        if self._rows % _CHECK_EVERY == 0 and self._open.bytes > TABLE_BYTES:
            self.finish()

    def finish(self) -> None:
        if self._open is not None:
            self._open.finish()
            self._open = None


def bulk_load(folder: Path, items: Iterable[BulkItem], write_buffer_bytes: int) -> BulkLoaded:
    """Build a store at version 0 in a new folder.

    Raises: DiskFull.
    """
    tables_folder = folder.with_name(f"{folder.name}.tables")
    shutil.rmtree(tables_folder, ignore_errors=True)
    tables_folder.mkdir(parents=True)
    tables = {name: _Tables(tables_folder, name) for name in (keys.ITEMS, keys.ORDINALS, keys.TRIE)}
    loaded, items_sum, trie = _write_items(items, tables[keys.ITEMS], tables[keys.ORDINALS])
    for path, value in sorted(trie):
        tables[keys.TRIE].add(path, value)
    for one in tables.values():
        one.finish()
    store = ShardStore(folder, write_buffer_bytes)
    try:
        paths = {name: one.paths for name, one in tables.items()}
        store.ingest(paths, next_ordinal=loaded.put, live=loaded.put, items_sum=items_sum)
    finally:
        store.close()
    shutil.rmtree(tables_folder)
    return loaded


def _write_items(
    items: Iterable[BulkItem], rows: _Tables, ordinals: _Tables
) -> tuple[BulkLoaded, int, list[tuple[bytes, bytes]]]:
    """Write the rows of items; returns their sum, and the rows of the trie, too."""
    encode = msgspec.msgpack.Encoder().encode
    total = blake2b(digest_size=16)
    trie: list[tuple[bytes, bytes]] = []
    dropped = items_sum = 0
    for key, revision, identifier, raw in items:
        if identifier is None:
            rows.add(key, raw)
            items_sum = add_to_sum(items_sum, head_digest(decode_head(raw)))
            dropped += 1
            continue
        ordinal = len(trie)
        row = placed(raw, ordinal)
        head = decode_head(row)
        rows.add(key, row)
        items_sum = add_to_sum(items_sum, head_digest(head))
        ordinals.add(keys.ordinal_key(ordinal), key)
        popularity = head.popularity if isinstance(head, ItemHead) else 0.0
        trie.append((keys.trie_key(identifier, ordinal), keys.trie_value(popularity)))
        # As in state.content_hash, with no term attached.
        total.update(encode((key.decode(), revision, identifier, [])))
    return BulkLoaded(len(trie), dropped, total.hexdigest()), items_sum, trie
