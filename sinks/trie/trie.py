"""The trie of one view: every path by which a live item can be decoded, and nothing else.

An item has its own identifier as a path, and one more path for each binding that is attached to it
and active: the identifier with the binding's position replaced by its reserved slot. Two bindings
on one item give two more paths, never their product. A binding that the bindings log does not hold
as active is hidden.

A trie is built at once from arrays and never changed, so a reader needs no lock.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from kae.encoders.categories import POSITIONS, Identifier, Slot
from kae.sinks.trie.bit_rows import BitRows
from kae.sinks.trie.prefixes import PrefixQuery, keys_of
from kae.sinks.trie.ranges import Indices, places_in
from kae.sinks.trie.shard_table import ShardTable

Places = NDArray[np.int32]  # of nodes or entries, as a trie keeps them
# The depths at which a node is found by its key: the number of an ancestor and the slots since, of
# which three fit in 64 bits below the root and two elsewhere. From the ancestor it is one search;
# at the other depths, which would take many keys and save one step, among its parent's children.
# `TrieView.find` is written for these depths.
_ANCESTORS = {1: 0, 2: 0, 3: 0, 5: 3}


@dataclass(frozen=True, slots=True)
class Entries:
    """One (path, item) pair a column, in the order of the paths.

    Shapes: slots (6, n) uint16, else (n,). `bindings` is 0 where the path is the item's own.
    `apart` is the length of the shortest prefix that the path does not share with the item's own
    path; 0 where it is that path.
    """

    slots: NDArray[np.uint16]
    shards: NDArray[np.uint16]
    ordinals: NDArray[np.uint32]
    bindings: NDArray[np.int64]
    apart: NDArray[np.uint8]
    popularity: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ordinals)

    def chosen(self, which: NDArray[np.bool_]) -> "Entries":
        """Some of them, in the same order."""
        return Entries(
            self.slots[:, which],
            self.shards[which],
            self.ordinals[which],
            self.bindings[which],
            self.apart[which],
            self.popularity[which],
        )


_NO_ENTRIES = Entries(
    np.zeros((POSITIONS, 0), np.uint16),
    np.zeros(0, np.uint16),
    np.zeros(0, np.uint32),
    np.zeros(0, np.int64),
    np.zeros(0, np.uint8),
    np.zeros(0, np.float32),
)


@dataclass(frozen=True, slots=True)
class Level:
    """The nodes of one depth, in order: the distinct prefixes of that length.

    `slot` is the last slot of the prefix, `key` what it is found by, rising: none where the depth
    has no keys. `first_child` is the first node of the next depth (for the deepest level: the first
    entry) with the end as its last element, `popularity` the highest of the items below.
    """

    slot: NDArray[np.uint16]
    key: Indices
    first_child: Places
    popularity: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.slot)


@dataclass(frozen=True, slots=True)
class TrieView:
    """All paths of one view: six levels over sorted entries; a path is a node of the last level.

    `rows[depth]` are the children, as bits, of those prefixes of that length that have many.
    `bound[depth]` are the entries that a binding added and that are apart from `depth` on, rising.
    """

    entries: Entries
    levels: tuple[Level, ...]
    rows: tuple[BitRows, ...]
    bound: tuple[Places, ...]
    bindings: frozenset[int]  # those that have a path

    @staticmethod
    def build(
        tables: Sequence[ShardTable],
        attached: Sequence[Mapping[int, BitMap]],
        active: Mapping[int, Slot],
    ) -> "TrieView":
        """Build from the tables and attachments of every shard and the active bindings."""
        pieces: list[Entries] = []
        for shard, (table, members) in enumerate(zip(tables, attached, strict=True)):
            pieces.append(own_paths(shard, table, np.flatnonzero(table.live)))
            bound = sorted(members.keys() & active.keys())
            pieces.append(term_paths(shard, table, active, {b: members[b] for b in bound}))
        return TrieView.of(pieces)

    @staticmethod
    def of(pieces: Sequence[Entries]) -> "TrieView":
        """Build from entries in any order, of each shard and binding in at most one piece."""
        entries = _sorted(pieces)
        levels = _levels(entries)
        bound = _bound(entries)
        bindings = frozenset(np.unique(entries.bindings[np.concatenate(bound)]).tolist())
        return TrieView(entries, levels, tuple(_rows(levels)), bound, bindings)

    def find(self, asked: PrefixQuery) -> tuple[Indices, NDArray[np.bool_]]:
        """The node of each prefix, and whether there is one; else the number is any.

        In the order of `asked`, for a trie with entries. The root is node 0.
        """
        if not asked.depth:
            return np.zeros(len(asked), np.int64), np.ones(len(asked), np.bool_)
        nodes, found = _among(self.levels[min(asked.depth, 3) - 1].key, asked.keys)
        if asked.depth == 4:
            nodes, is_child = self._children(nodes, 4, asked)
            found &= is_child
        if asked.depth > 4:
            nodes, is_there = _among(self.levels[4].key, keys_of(nodes, asked.slots[3:5]))
            found &= is_there
        if asked.depth > 5:
            nodes, is_child = self._children(nodes, 6, asked)
            found &= is_child
        return nodes, found

    def _children(
        self, parents: Indices, depth: int, asked: PrefixQuery
    ) -> tuple[Indices, NDArray[np.bool_]]:
        """The nodes of a depth that has no keys, each among the children of its parent."""
        first_child = self.levels[depth - 2].first_child
        first, end = first_child.take(parents), first_child.take(parents + 1)
        wanted = asked.slots[depth - 1].astype(np.uint16)
        return places_in(self.levels[depth - 1].slot, first, end, wanted)

    def links(self, depth: int) -> Places:
        """The first child of each node of one depth, and the end; the root alone has depth 0."""
        if not depth:
            return np.array([0, len(self.levels[0])], np.int32)
        return self.levels[depth - 1].first_child

    def path_at(self, entry: int) -> Identifier:
        a, b, c, d, e, f = (int(index) for index in self.entries.slots[:, entry])
        return (a, b, c, d, e, f)


def own_paths(shard: int, table: ShardTable, ordinals: Indices) -> Entries:
    """The own paths of live items."""
    return _piece(shard, table, ordinals)


def term_paths(
    shard: int, table: ShardTable, active: Mapping[int, Slot], members: Mapping[int, BitMap]
) -> Entries:
    """The paths that bindings add to those of their members that are live, by binding.

    All bindings as one: for each by itself, a thousand terms would cost a view 0.1 s.
    """
    arrays = [np.asarray(some.to_array()) for some in members.values()]
    ordinals = np.concatenate([*arrays, np.zeros(0, np.uint32)]).astype(np.int64)
    which = np.repeat(np.arange(len(arrays)), [len(one) for one in arrays])
    live = ordinals < len(table.live)
    live[live] = table.live[ordinals[live]]
    which = which[live]
    piece = _piece(shard, table, ordinals[live])
    slots = [active[binding] for binding in members]
    positions = np.array([slot.position for slot in slots], np.int64)[which]
    indices = np.array([slot.index for slot in slots], np.uint16)[which]
    piece.bindings[:] = np.array([*members], np.int64)[which]
    piece.slots[positions, np.arange(len(which))] = indices
    piece.apart[:] = positions + 1
    return piece


def _piece(shard: int, table: ShardTable, ordinals: Indices) -> Entries:
    count = len(ordinals)
    return Entries(
        slots=table.identifiers[:, ordinals],
        shards=np.full(count, shard, np.uint16),
        ordinals=ordinals.astype(np.uint32),
        bindings=np.zeros(count, np.int64),
        apart=np.zeros(count, np.uint8),
        popularity=table.popularity[ordinals],
    )


def _sorted(pieces: Sequence[Entries]) -> Entries:
    pieces = [piece for piece in pieces if len(piece)] or [_NO_ENTRIES]
    slots = np.concatenate([piece.slots for piece in pieces], 1)
    # Stable, and the pieces come by shard and binding: the order is the same on every replica.
    order = np.lexsort(slots[::-1])
    return Entries(
        slots=np.ascontiguousarray(slots[:, order]),
        shards=np.concatenate([piece.shards for piece in pieces])[order],
        ordinals=np.concatenate([piece.ordinals for piece in pieces])[order],
        bindings=np.concatenate([piece.bindings for piece in pieces])[order],
        apart=np.concatenate([piece.apart for piece in pieces])[order],
        popularity=np.concatenate([piece.popularity for piece in pieces])[order],
    )


def _levels(entries: Entries) -> tuple[Level, ...]:
    """Find where each prefix begins, then number and link the nodes from the deepest level up."""
    begins = list(_begins(entries))
    levels: list[Level] = []
    starts, popularity = np.arange(len(entries)), entries.popularity
    for depth in range(POSITIONS, 0, -1):
        first_child = np.flatnonzero(begins[depth - 1][starts])
        popularity = np.maximum.reduceat(popularity, first_child) if len(starts) else popularity
        children = np.append(first_child, len(starts)).astype(np.int32)
        starts = starts[first_child]
        keys = _keys(entries, begins, starts, depth)
        levels.append(Level(entries.slots[depth - 1, starts], keys, children, popularity))
    return tuple(levels[::-1])


def _begins(entries: Entries) -> Iterator[NDArray[np.bool_]]:
    """For each length of prefix, whether one begins at each entry."""
    begins = np.zeros(len(entries), np.bool_)
    begins[:1] = True
    for column in entries.slots:
        begins = begins.copy()
        begins[1:] |= column[1:] != column[:-1]
        yield begins


def _keys(
    entries: Entries, begins: Sequence[NDArray[np.bool_]], starts: Indices, depth: int
) -> Indices:
    """Of the nodes of one depth, which begin at these entries."""
    above = _ANCESTORS.get(depth)
    if above is None:
        return np.zeros(0, np.int64)
    ancestors = np.zeros(len(starts), np.int64)
    if above:
        ancestors = (np.cumsum(begins[above - 1]) - 1)[starts]
    return keys_of(ancestors, entries.slots[above:depth, starts])


def _among(rising: Indices, wanted: Indices) -> tuple[Indices, NDArray[np.bool_]]:
    """The place of each among some that rise, and whether it is there; else the place is any."""
    places = np.minimum(np.searchsorted(rising, wanted), len(rising) - 1)
    return places, rising.take(places) == wanted


def _rows(levels: Sequence[Level]) -> Iterator[BitRows]:
    """Of the root, then of the nodes of every level but the last."""
    root = np.array([0, len(levels[0])], np.int32)
    for first_child, below in zip(
        (root, *(level.first_child for level in levels)), levels, strict=False
    ):
        yield BitRows.build(first_child, below.slot)


def _bound(entries: Entries) -> tuple[Places, ...]:
    added = np.flatnonzero(entries.apart).astype(np.int32)
    apart = entries.apart[added]
    return tuple(added[apart == depth] for depth in range(POSITIONS + 1))
