"""The rows that one delta changes in a store, as one WriteBatch."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from pyroaring import BitMap

from kae.sinks.log.edits import Attach, Detach, DropItem, Head, ItemHead, ShardEdit
from kae.sinks.store import keys
from kae.sinks.store.rocks import WriteBatch
from kae.sinks.store.state import head_digest, row_digest


class StoreContent(Protocol):
    """What a batch reads of its store; it updates `digests`."""

    attached: Mapping[int, BitMap]
    bindings: Mapping[int, Attach]
    digests: dict[bytes, int]  # of the rows of `bindings` and `attached`, by key

    @property
    def next_ordinal(self) -> int: ...

    @property
    def live(self) -> int: ...


class DeltaWriteBatch:
    """The rows that one delta changes, and how it changes the sums over all rows.

    After `finish`, `attached` and `bindings` are those of the store's next version. If nothing in
    them has changed they are the same objects as before, by which readers detect that; else they
    are copies, as readers keep the former ones.
    """

    def __init__(
        self,
        store: StoreContent,
        before: Mapping[str, Head],
        rows: WriteBatch,
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
        # The bindings that an item of this delta may have. Looking at every binding for every item
        # would cost more than all else where there are a thousand.
        known = BitMap(head.ordinal for head in before.values() if isinstance(head, ItemHead))
        self._having = {b for b, members in store.attached.items() if known.intersect(members)}
        self._touched: set[tuple[int, int]] = set()
        # (binding, ordinal) of items that join or leave; an item that does both has not moved.
        self._moving: set[tuple[int, int]] = set()
        self._moved = BitMap()

    @property
    def moved(self) -> BitMap:
        """The items whose bindings differ because they were put or dropped."""
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
        self._remove_former(item.id)
        handles = self._handles
        self.rows.put(keys.item_key(item.id), raw, handles[keys.ITEMS])
        self.rows.put(keys.ordinal_key(item.ordinal), item.id.encode(), handles[keys.ORDINALS])
        path = keys.trie_key(item.identifier, item.ordinal)
        self.rows.put(path, keys.trie_value(item.popularity), handles[keys.TRIE])
        for binding in item.bindings:
            self._having.add(binding)
            if not self._is_member(binding, item.ordinal):
                self._moving ^= {(binding, item.ordinal)}
        self._replace_head(item)
        self.next_ordinal = max(self.next_ordinal, item.ordinal + 1)
        self.live += 1

    def _drop(self, item: DropItem, raw: bytes) -> None:
        self._remove_former(item.id)
        self._replace_head(item)
        self.rows.put(keys.item_key(item.id), raw, self._handles[keys.ITEMS])

    def _replace_head(self, head: Head) -> None:
        before = self._heads.get(head.id)
        self.items_change += head_digest(head) - (head_digest(before) if before else 0)
        self._heads[head.id] = head

    def _remove_former(self, item_id: str) -> None:
        """Delete what the item's former version wrote outside its own row."""
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
        self._apply_moves(edit.binding)
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
        self._apply_moves(edit.binding)
        for chunk in _chunks(self.attached.get(edit.binding, BitMap())):
            self._touched.add((edit.binding, chunk))
        for known in self._copies():
            known.pop(edit.binding, None)
        self._having.discard(edit.binding)
        self._write(keys.BINDINGS, keys.binding_key(edit.binding), None)

    def _apply_moves(self, *bindings: int) -> None:
        """Update the members of some bindings with the items that join or leave."""
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
        """Write each touched chunk of an attachment once, in its last state."""
        self._apply_moves(*{binding for binding, _ in self._moving})
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
