"""A whole store from items in the order of their ids: tables first, then one store of them.

The rows are those that folding the same items would write (batch.py), their ordinals in the order
of the ids.
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
from kae.sinks.store.batch import added, head_digest
from kae.sinks.store.rocks import SortedTable
from kae.sinks.store.store import ShardStore

# A file of a snapshot travels and is checked as a whole.
TABLE_BYTES = 256 << 20
_CHECK_EVERY = 4096


class Unplaced(NamedTuple):
    """An item's newest edit, without its ordinal."""

    key: bytes
    revision: int
    identifier: Identifier | None  # None: it was dropped
    raw: bytes


class Filled(msgspec.Struct, frozen=True):
    """What a store was filled with; `hash` is its content hash."""

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


def fill_store(folder: Path, items: Iterable[Unplaced], write_buffer_bytes: int) -> Filled:
    """Lay a store at version 0 in a folder that is not there yet.

    Raises: DiskFull.
    """
    beside = folder.with_name(f"{folder.name}.tables")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    tables = {name: _Tables(beside, name) for name in (keys.ITEMS, keys.ORDINALS, keys.TRIE)}
    filled, items_sum, trie = _write_items(items, tables[keys.ITEMS], tables[keys.ORDINALS])
    for path, value in sorted(trie):
        tables[keys.TRIE].add(path, value)
    for one in tables.values():
        one.finish()
    store = ShardStore(folder, write_buffer_bytes)
    try:
        paths = {name: one.paths for name, one in tables.items()}
        store.fill(paths, next_ordinal=filled.put, live=filled.put, items_sum=items_sum)
    finally:
        store.close()
    shutil.rmtree(beside)
    return filled


def _write_items(
    items: Iterable[Unplaced], rows: _Tables, ordinals: _Tables
) -> tuple[Filled, int, list[tuple[bytes, bytes]]]:
    """Returns the sum of the items' rows too, and the rows of the trie."""
    encode = msgspec.msgpack.Encoder().encode
    total = blake2b(digest_size=16)
    trie: list[tuple[bytes, bytes]] = []
    dropped = items_sum = 0
    for key, revision, identifier, raw in items:
        if identifier is None:
            rows.add(key, raw)
            items_sum = added(items_sum, head_digest(decode_head(raw)))
            dropped += 1
            continue
        ordinal = len(trie)
        row = placed(raw, ordinal)
        head = decode_head(row)
        rows.add(key, row)
        items_sum = added(items_sum, head_digest(head))
        ordinals.add(keys.ordinal_key(ordinal), key)
        popularity = head.popularity if isinstance(head, ItemHead) else 0.0
        trie.append((keys.trie_key(identifier, ordinal), keys.trie_value(popularity)))
        # As in store.content_hash: no term is attached yet.
        total.update(encode((key.decode(), revision, identifier, [])))
    return Filled(len(trie), dropped, total.hexdigest()), items_sum, trie
