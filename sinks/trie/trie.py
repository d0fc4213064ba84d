"""A trie of paths: every path by which a live item can be decoded, and no other.

An item has its own identifier as a path, and one more path for each active binding that is attached
to it: the identifier with the reserved slot at the binding's position. Two bindings on an item give
two more paths, never their product. A binding that is not active in the bindings log is hidden.

A trie is built from arrays in one go and never changes, so readers need no lock.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from kae.encoders.categories import POSITIONS, Identifier, Slot
from kae.sinks.trie.child_bitmaps import ChildBitmaps
from kae.sinks.trie.prefixes import PrefixQuery, prefix_keys
from kae.sinks.trie.shard_table import ShardTable
from kae.sinks.trie.sorted_arrays import Indices, search_ranges

TrieIndices = NDArray[np.int32]  # numbers of nodes or entries
# The depths at which a node is found by its key: the number of an ancestor and the slots since, of
# which three fit in 64 bits below the root and two elsewhere: one search from that ancestor. At the
# other depths, where keys are many and save one step, it is searched among its parent's children.
# `Trie.find` is written for these depths.
_ANCESTORS = {1: 0, 2: 0, 3: 0, 5: 3}


@dataclass(frozen=True, slots=True)
class Entries:
    """Pairs of a path and an item, an element each, in the order of the paths.

    Shapes: slots (6, n) uint16, else (n,). `bindings` is 0 for an item's own path. `diverges_at` is
    the length of the shortest prefix that the path does not share with the item's own path; 0 for
    that path itself.
    """

    slots: NDArray[np.uint16]
    shards: NDArray[np.uint16]
    ordinals: NDArray[np.uint32]
    bindings: NDArray[np.int64]
    diverges_at: NDArray[np.uint8]
    popularity: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ordinals)

    def where(self, which: NDArray[np.bool_]) -> "Entries":
        """Some of them, in the same order."""
        return Entries(
            self.slots[:, which],
            self.shards[which],
            self.ordinals[which],
            self.bindings[which],
            self.diverges_at[which],
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
    """The nodes of one depth, sorted: the distinct prefixes of that length.

    `slot` is the last slot of the prefix; `key` is what a search finds it by, rising, and empty
    where the depth has no keys. `first_child` is the first node of the next depth, or the first
    entry below the last, with the end as one more element. `popularity` is the highest below.
    """

    slot: NDArray[np.uint16]
    key: Indices
    first_child: TrieIndices
    popularity: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.slot)


@dataclass(frozen=True, slots=True)
class Trie:
    """Six levels over sorted entries; a path is a node of the last level.

    `child_bitmaps[depth]` are the children of those prefixes of that length that have many.
    `bound_entries[depth]` are the entries of bindings that diverge at that depth, rising.
    """

    entries: Entries
    levels: tuple[Level, ...]
    child_bitmaps: tuple[ChildBitmaps, ...]
    bound_entries: tuple[TrieIndices, ...]
    bindings: frozenset[int]  # those that have a path

    @staticmethod
    def build(
        tables: Sequence[ShardTable],
        attached: Sequence[Mapping[int, BitMap]],
        active: Mapping[int, Slot],
    ) -> "Trie":
        """Build from every shard's table and attachments, and the active bindings."""
        pieces: list[Entries] = []
        for shard, (table, members) in enumerate(zip(tables, attached, strict=True)):
            pieces.append(own_paths(shard, table, np.flatnonzero(table.live)))
            bound = sorted(members.keys() & active.keys())
            pieces.append(term_paths(shard, table, active, {b: members[b] for b in bound}))
        return Trie.of(pieces)

    @staticmethod
    def of(pieces: Sequence[Entries]) -> "Trie":
        """Build from unsorted entries; those of one shard and binding are in one piece."""
        entries = _sorted(pieces)
        levels = _levels(entries)
        bound_entries = _bound_entries(entries)
        bindings = np.unique(entries.bindings[np.concatenate(bound_entries)]).tolist()
        bitmaps = tuple(_child_bitmaps(levels))
        return Trie(entries, levels, bitmaps, bound_entries, frozenset(bindings))

    def find(self, query: PrefixQuery) -> tuple[Indices, NDArray[np.bool_]]:
        """The node of each prefix, and whether there is one; without one the number is arbitrary.

        In the order of the query. The trie must have entries; the root is node 0.
        """
        if not query.depth:
            return np.zeros(len(query), np.int64), np.ones(len(query), np.bool_)
        nodes, found = _search(self.levels[min(query.depth, 3) - 1].key, query.keys)
        if query.depth == 4:
            nodes, is_child = self._children(nodes, 4, query)
            found &= is_child
        if query.depth > 4:
            nodes, is_there = _search(self.levels[4].key, prefix_keys(nodes, query.slots[3:5]))
            found &= is_there
        if query.depth > 5:
            nodes, is_child = self._children(nodes, 6, query)
            found &= is_child
        return nodes, found

    def _children(
        self, parents: Indices, depth: int, query: PrefixQuery
    ) -> tuple[Indices, NDArray[np.bool_]]:
        """The nodes of a depth that has no keys, searched among the children of their parents."""
        first_child = self.levels[depth - 2].first_child
        first, end = first_child.take(parents), first_child.take(parents + 1)
        wanted = query.slots[depth - 1].astype(np.uint16)
        return search_ranges(self.levels[depth - 1].slot, first, end, wanted)

    def child_starts(self, depth: int) -> TrieIndices:
        """The first child of each node of one depth, and the end; depth 0 is the root alone."""
        if not depth:
            return np.array([0, len(self.levels[0])], np.int32)
        return self.levels[depth - 1].first_child

    def path_at(self, entry: int) -> Identifier:
        a, b, c, d, e, f = (int(index) for index in self.entries.slots[:, entry])
        return (a, b, c, d, e, f)


def own_paths(shard: int, table: ShardTable, ordinals: Indices) -> Entries:
    """The own paths of live items."""
    return _entries(shard, table, ordinals)


def term_paths(
    shard: int, table: ShardTable, active: Mapping[int, Slot], members: Mapping[int, BitMap]
) -> Entries:
    """The paths that bindings add to their live members, by binding.

    All bindings in one go: one by one, a thousand terms would cost a view 0.1 s.
    """
    arrays = [np.asarray(some.to_array()) for some in members.values()]
    ordinals = np.concatenate([*arrays, np.zeros(0, np.uint32)]).astype(np.int64)
    which = np.repeat(np.arange(len(arrays)), [len(one) for one in arrays])
    live = ordinals < len(table.live)
    live[live] = table.live[ordinals[live]]
    which = which[live]
    piece = _entries(shard, table, ordinals[live])
    slots = [active[binding] for binding in members]
    positions = np.array([slot.position for slot in slots], np.int64)[which]
    indices = np.array([slot.index for slot in slots], np.uint16)[which]
    piece.bindings[:] = np.array([*members], np.int64)[which]
    piece.slots[positions, np.arange(len(which))] = indices
    piece.diverges_at[:] = positions + 1
    return piece


def _entries(shard: int, table: ShardTable, ordinals: Indices) -> Entries:
    count = len(ordinals)
    return Entries(
        slots=table.identifiers[:, ordinals],
        shards=np.full(count, shard, np.uint16),
        ordinals=ordinals.astype(np.uint32),
        bindings=np.zeros(count, np.int64),
        diverges_at=np.zeros(count, np.uint8),
        popularity=table.popularity[ordinals],
    )


def _sorted(pieces: Sequence[Entries]) -> Entries:
    pieces = [piece for piece in pieces if len(piece)] or [_NO_ENTRIES]
    slots = np.concatenate([piece.slots for piece in pieces], 1)
    # The sort is stable and pieces come by shard and binding, so every replica has the same order.
    order = np.lexsort(slots[::-1])
    return Entries(
        slots=np.ascontiguousarray(slots[:, order]),
        shards=np.concatenate([piece.shards for piece in pieces])[order],
        ordinals=np.concatenate([piece.ordinals for piece in pieces])[order],
        bindings=np.concatenate([piece.bindings for piece in pieces])[order],
        diverges_at=np.concatenate([piece.diverges_at for piece in pieces])[order],
        popularity=np.concatenate([piece.popularity for piece in pieces])[order],
    )


def _levels(entries: Entries) -> tuple[Level, ...]:
    """Find where each prefix starts, then number and link the nodes from the deepest level up."""
    is_start = list(_prefix_starts(entries))
    levels: list[Level] = []
    starts, popularity = np.arange(len(entries)), entries.popularity
    for depth in range(POSITIONS, 0, -1):
        first_child = np.flatnonzero(is_start[depth - 1][starts])
        popularity = np.maximum.reduceat(popularity, first_child) if len(starts) else popularity
        children = np.append(first_child, len(starts)).astype(np.int32)
        starts = starts[first_child]
        keys = _keys(entries, is_start, starts, depth)
        levels.append(Level(entries.slots[depth - 1, starts], keys, children, popularity))
    return tuple(levels[::-1])


def _prefix_starts(entries: Entries) -> Iterator[NDArray[np.bool_]]:
    """For each length, whether a prefix of that length starts at each entry."""
    is_start = np.zeros(len(entries), np.bool_)
    is_start[:1] = True
    for column in entries.slots:
        is_start = is_start.copy()
        is_start[1:] |= column[1:] != column[:-1]
        yield is_start


def _keys(
    entries: Entries, is_start: Sequence[NDArray[np.bool_]], starts: Indices, depth: int
) -> Indices:
    """The keys of the nodes of one depth, which start at these entries."""
    above = _ANCESTORS.get(depth)
    if above is None:
        return np.zeros(0, np.int64)
    ancestors = np.zeros(len(starts), np.int64)
    if above:
        ancestors = (np.cumsum(is_start[above - 1]) - 1)[starts]
    return prefix_keys(ancestors, entries.slots[above:depth, starts])


def _search(ordered: Indices, wanted: Indices) -> tuple[Indices, NDArray[np.bool_]]:
    """The place of each in a sorted array, and whether it is there; else the place is arbitrary."""
    places = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return places, ordered.take(places) == wanted


def _child_bitmaps(levels: Sequence[Level]) -> Iterator[ChildBitmaps]:
    """Those of the root, then of the nodes of every level but the last."""
    root = np.array([0, len(levels[0])], np.int32)
    for first_child, below in zip(
        (root, *(level.first_child for level in levels)), levels, strict=False
    ):
        yield ChildBitmaps.build(first_child, below.slot)


def _bound_entries(entries: Entries) -> tuple[TrieIndices, ...]:
    added = np.flatnonzero(entries.diverges_at).astype(np.int32)
    diverges_at = entries.diverges_at[added]
    return tuple(added[diverges_at == depth] for depth in range(POSITIONS + 1))
