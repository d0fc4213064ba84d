"""Sums over a store's rows, kept in its `state`, that tell a store which has lost some of them.

RocksDB opens a store whose MANIFEST has lost its end as it was some writes ago, and may do so for
one column family alone. A sum of digests does not depend on order: a delta moves it by what it
changes.

The rows that one delta changes in a store.
"""

from collections import defaultdict
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Protocol

import msgspec
from pyroaring import BitMap

from kae.sinks.log.edits import Attach, Detach, DropItem, Head, ItemHead, ShardEdit
from kae.sinks.store import keys

SUM_BITS = 64
_DIGEST_BYTES = SUM_BITS // 8
_encode = msgspec.msgpack.Encoder().encode


def added(total: int, change: int) -> int:
    """A sum after a change, which may be negative."""
    return (total + change) % (1 << SUM_BITS)


def row_digest(key: bytes, value: bytes) -> int:
    """Of a row of `bindings` or `attached`, whose keys differ in length."""
    return _number(key + value)


def head_digest(head: Head) -> int:
    """Of a row of `items`, by all of it that is not text; the content hash stands for the text."""
    fields = (head.id, head.ordinal, head.revision, head.content)
    if isinstance(head, ItemHead):
        return _number(_encode((*fields, head.identifier, head.popularity, head.bindings)))
    return _number(_encode(fields))


def _number(row: bytes) -> int:
    return int.from_bytes(blake2b(row, digest_size=_DIGEST_BYTES).digest(), "big")


class RowWriter(Protocol):
    """RocksDB's WriteBatch, as far as it is needed here."""

    def put(self, key: bytes, value: bytes, column_family: Any) -> None: ...

    def delete(self, key: bytes, column_family: Any) -> None: ...


class Folding(Protocol):
    """What a batch reads in the store that it belongs to; `digests` it moves on."""

    attached: Mapping[int, BitMap]
    bindings: Mapping[int, Attach]
    digests: dict[bytes, int]  # of the rows of `bindings` and `attached`, by key

    @property
    def next_ordinal(self) -> int: ...

    @property
    def live(self) -> int: ...


class DeltaBatch:
    """The rows that one delta changes, and by how much it moves the sums of them.

    `attached` and `bindings` are the store's after `finish`. Where none of them has changed they
    are the same mappings as before, by which readers tell that; else copies, for readers keep the
    former ones.
    """

    def __init__(
        self,
        store: Folding,
        before: Mapping[str, Head],
        rows: RowWriter,
        handles: Mapping[str, Any],
    ) -> None:
        self.rows = rows
        self.next_ordinal = store.next_ordinal
        self.live = store.live
        self.items_change = self.bindings_change = 0
        self.attached = store.attached
        self.bindings = store.bindings
        self._copied: tuple[dict[int, BitMap], dict[int, Attach]] | None = None
        self._digests = store.digests
        self._handles = handles
        self._heads: dict[str, Head] = dict(before)
        # The bindings that an item of this delta may have: a look at each for each item would make
        # a thousand of them cost more than all else.
        known = BitMap(head.ordinal for head in before.values() if isinstance(head, ItemHead))
        self._having = {b for b, members in store.attached.items() if known.intersect(members)}
        self._touched: set[tuple[int, int]] = set()
        # (binding, ordinal) of items that join or leave; who leaves and joins again has not moved.
        self._moving: set[tuple[int, int]] = set()
        self._moved = BitMap()

    @property
    def moved(self) -> BitMap:
        """The items that other bindings are attached to than before, by what was put or dropped."""
        return self._moved

    def add(self, edit: ShardEdit, raw: bytes) -> None:
        if isinstance(edit, ItemHead):
            self._put(edit, raw)
        elif isinstance(edit, DropItem):
            self._drop(edit, raw)
        elif isinstance(edit, Attach):
            self._attach(edit)
        else:
            self._detach(edit)

    def _put(self, item: ItemHead, raw: bytes) -> None:
        self._forget(item.id)
        handles = self._handles
        self.rows.put(keys.item_key(item.id), raw, handles[keys.ITEMS])
        self.rows.put(keys.ordinal_key(item.ordinal), item.id.encode(), handles[keys.ORDINALS])
        path = keys.trie_key(item.identifier, item.ordinal)
        self.rows.put(path, keys.trie_value(item.popularity), handles[keys.TRIE])
        for binding in item.bindings:
            self._having.add(binding)
            if not self._is_member(binding, item.ordinal):
                self._moving ^= {(binding, item.ordinal)}
        self._take_head(item)
        self.next_ordinal = max(self.next_ordinal, item.ordinal + 1)
        self.live += 1

    def _drop(self, item: DropItem, raw: bytes) -> None:
        self._forget(item.id)
        self._take_head(item)
        self.rows.put(keys.item_key(item.id), raw, self._handles[keys.ITEMS])

    def _take_head(self, head: Head) -> None:
        before = self._heads.get(head.id)
        self.items_change += head_digest(head) - (head_digest(before) if before else 0)
        self._heads[head.id] = head

    def _forget(self, item_id: str) -> None:
        """Take back what an item's former state wrote outside its own row."""
        head = self._heads.get(item_id)
        if not isinstance(head, ItemHead):
            return
        self.rows.delete(keys.trie_key(head.identifier, head.ordinal), self._handles[keys.TRIE])
        self.rows.delete(keys.ordinal_key(head.ordinal), self._handles[keys.ORDINALS])
        for binding in self._having:
            if self._is_member(binding, head.ordinal):
                self._moving ^= {(binding, head.ordinal)}
        self.live -= 1

    def _is_member(self, binding: int, ordinal: int) -> bool:
        return (ordinal in self.attached[binding]) != ((binding, ordinal) in self._moving)

    def _attach(self, edit: Attach) -> None:
        self._settle(edit.binding)
        before = self.attached.get(edit.binding, BitMap())
        members = BitMap.deserialize(edit.ordinals)
        if edit.continued:
            members |= before
        for chunk in _chunks(members) | _chunks(before):
            self._touched.add((edit.binding, chunk))
        self._having.add(edit.binding)
        row = msgspec.structs.replace(edit, ordinals=b"", continued=False)
        attached, bindings = self._copies()
        attached[edit.binding], bindings[edit.binding] = members, row
        self._write(keys.BINDINGS, keys.binding_key(edit.binding), msgspec.msgpack.encode(row))

    def _detach(self, edit: Detach) -> None:
        self._settle(edit.binding)
        for chunk in _chunks(self.attached.get(edit.binding, BitMap())):
            self._touched.add((edit.binding, chunk))
        for known in self._copies():
            known.pop(edit.binding, None)
        self._having.discard(edit.binding)
        self._write(keys.BINDINGS, keys.binding_key(edit.binding), None)

    def _settle(self, *bindings: int) -> None:
        """Let items that join or leave some bindings do so."""
        moves: defaultdict[int, BitMap] = defaultdict(BitMap)
        for binding, ordinal in self._moving:
            if binding in bindings:
                moves[binding].add(ordinal)
        for binding, ordinals in moves.items():
            attached, _ = self._copies()
            attached[binding] = attached[binding] ^ ordinals
            self._moving -= {(binding, ordinal) for ordinal in ordinals}
            self._touched |= {(binding, ordinal >> keys.CHUNK_BITS) for ordinal in ordinals}
            self._moved |= ordinals

    def _copies(self) -> tuple[dict[int, BitMap], dict[int, Attach]]:
        if self._copied is None:
            self._copied = dict(self.attached), dict(self.bindings)
            self.attached, self.bindings = self._copied
        return self._copied

    def finish(self) -> None:
        """Write each touched chunk of an attachment once, as it is now."""
        self._settle(*{binding for binding, _ in self._moving})
        for binding, chunk in sorted(self._touched):
            first = chunk << keys.CHUNK_BITS
            span = BitMap(range(first, first + (1 << keys.CHUNK_BITS)))
            members = self.attached.get(binding, BitMap()) & span
            key = keys.attached_key(binding, chunk)
            self._write(keys.ATTACHED, key, members.serialize() if members else None)

    def _write(self, family: str, key: bytes, value: bytes | None) -> None:
        """Put or delete a row of `bindings` or `attached`."""
        self.bindings_change -= self._digests.pop(key, 0)
        if value is None:
            self.rows.delete(key, self._handles[family])
            return
        self.rows.put(key, value, self._handles[family])
        self._digests[key] = row_digest(key, value)
        self.bindings_change += self._digests[key]


def _chunks(members: BitMap) -> set[int]:
    if not members:
        return set()
    last = members.max() >> keys.CHUNK_BITS
    return set(range(members.min() >> keys.CHUNK_BITS, last + 1))
