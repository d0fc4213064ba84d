"""The rows that one delta changes in a store."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from pyroaring import BitMap

from kae.sinks import keys
from kae.sinks.edits import Attach, Detach, DropItem, Head, ItemHead, ShardEdit
from kae.sinks.sums import head_digest, row_digest


class Rows(Protocol):
    """RocksDB's WriteBatch, as far as it is needed here."""

    def put(self, key: bytes, value: bytes, column_family: Any) -> None: ...

    def delete(self, key: bytes, column_family: Any) -> None: ...


class Folding(Protocol):
    """What a batch reads and moves on in the store that it belongs to."""

    attached: dict[int, BitMap]  # bitmaps that are replaced, and never changed
    bindings: dict[int, Attach]
    digests: dict[bytes, int]  # of the rows of `bindings` and `attached`, by key

    @property
    def next_ordinal(self) -> int: ...

    @property
    def live(self) -> int: ...


class Batch:
    """The rows that one delta changes, and by how much it moves the sums of them."""

    def __init__(
        self, store: Folding, before: Mapping[str, Head], rows: Rows, handles: Mapping[str, Any]
    ) -> None:
        self.rows = rows
        self.next_ordinal = store.next_ordinal
        self.live = store.live
        self.items_change = self.bindings_change = 0
        self._digests = store.digests
        self._attached = store.attached
        self._bindings = store.bindings
        self._handles = handles
        self._heads: dict[str, Head] = dict(before)
        # The bindings that an item of this delta may have: a look at each for each item would make
        # a thousand of them cost more than all else.
        known = BitMap(head.ordinal for head in before.values() if isinstance(head, ItemHead))
        self._having = {b for b, members in store.attached.items() if known.intersect(members)}
        self._own: set[int] = set()  # those whose members are this batch's to change
        self._touched: set[tuple[int, int]] = set()
        self._moved: set[tuple[int, int]] = set()  # (binding, ordinal)

    @property
    def moved(self) -> BitMap:
        """The items that other bindings are attached to than before, by what was put or dropped."""
        return BitMap({ordinal for _, ordinal in self._moved})

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
            self._members(binding).add(item.ordinal)
            self._move(binding, item.ordinal)
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
            if head.ordinal in self._attached[binding]:
                self._members(binding).discard(head.ordinal)
                self._move(binding, head.ordinal)
        self.live -= 1

    def _attach(self, edit: Attach) -> None:
        members = BitMap.deserialize(edit.ordinals)
        if edit.continued:
            members |= self._attached[edit.binding]
        for chunk in _chunks(members) | _chunks(self._attached.get(edit.binding, BitMap())):
            self._touched.add((edit.binding, chunk))
        self._attached[edit.binding] = members
        self._having.add(edit.binding)
        self._own.add(edit.binding)
        row = msgspec.structs.replace(edit, ordinals=b"", continued=False)
        self._bindings[edit.binding] = row
        self._write(keys.BINDINGS, keys.binding_key(edit.binding), msgspec.msgpack.encode(row))

    def _detach(self, edit: Detach) -> None:
        members = self._attached.pop(edit.binding, BitMap())
        self._having.discard(edit.binding)
        self._bindings.pop(edit.binding, None)
        self._write(keys.BINDINGS, keys.binding_key(edit.binding), None)
        for chunk in _chunks(members):
            self._touched.add((edit.binding, chunk))

    def _members(self, binding: int) -> BitMap:
        """The items of a binding, to be changed; readers keep those that there were."""
        if binding not in self._own:
            self._own.add(binding)
            self._attached[binding] = self._attached[binding].copy()
        return self._attached[binding]

    def _move(self, binding: int, ordinal: int) -> None:
        """An item joins or leaves a binding; who leaves and joins again has not moved."""
        self._touched.add((binding, ordinal >> keys.CHUNK_BITS))
        self._moved ^= {(binding, ordinal)}

    def finish(self) -> None:
        """Write each touched chunk of an attachment once, as it is now."""
        for binding, chunk in sorted(self._touched):
            first = chunk << keys.CHUNK_BITS
            span = BitMap(range(first, first + (1 << keys.CHUNK_BITS)))
            members = self._attached.get(binding, BitMap()) & span
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
