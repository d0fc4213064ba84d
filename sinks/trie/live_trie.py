"""A trie of which some entries are dead, as a Lucene segment whose documents were deleted.

The trie itself never changes. The dead are rising lists: one of entries, and one a level of the
nodes without a live entry below. So they cost what has died, not what there is, and a dead node is
neither offered nor found.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.sinks.trie.prefixes import ChildPairs, PrefixQuery
from kae.sinks.trie.sorted_arrays import (
    Indices,
    RangeBounds,
    count_in_ranges,
    expand_ranges,
    is_in_sorted,
    search_sorted,
    unique_counts,
)
from kae.sinks.trie.trie import Trie, TrieIndices


class ChildRanges(NamedTuple):
    """The node of each prefix, -1 where there is none, and the range of that node's children.

    Children are nodes of the next level, or entries below the last. Without a node it is empty.
    """

    nodes: Indices
    first: Indices
    end: Indices


@dataclass(frozen=True, slots=True)
class LiveTrie:
    """A trie and what is dead in it.

    Shapes: dead_entries (n,); dead_nodes, an array a level; dead_bound, the dead ones among
    `trie.bound_entries`. All rising.
    """

    trie: Trie
    dead_entries: TrieIndices
    dead_nodes: tuple[TrieIndices, ...]
    dead_bound: tuple[TrieIndices, ...]

    @staticmethod
    def all_live(trie: Trie) -> "LiveTrie":
        """A trie in which nothing is dead."""
        none = np.zeros(0, np.int32)
        return LiveTrie(trie, none, (none,) * POSITIONS, (none,) * len(trie.bound_entries))

    def without(self, entries: Indices | TrieIndices) -> "LiveTrie":
        """The same with more dead entries, given in any order."""
        if not len(entries):
            return self
        trie = self.trie
        dead_entries = _union(self.dead_entries, entries.astype(np.int32))
        dead_nodes, died, below = [], entries, dead_entries
        for level, dead in zip(reversed(trie.levels), reversed(self.dead_nodes), strict=True):
            # Only a node above what has just died can have lost its last live entry.
            parents, _ = unique_counts(search_sorted(level.first_child, np.sort(died), "right") - 1)
            first, end = level.first_child[parents], level.first_child[parents + 1]
            died = parents[count_in_ranges(below, first, end) == end - first]
            below = _union(dead, died.astype(np.int32))
            dead_nodes.append(below)
        diverges_at = trie.entries.diverges_at[dead_entries]
        dead_bound = tuple(
            dead_entries[diverges_at == depth] if depth else dead_entries[:0]
            for depth in range(POSITIONS + 1)
        )
        return LiveTrie(trie, dead_entries, tuple(dead_nodes[::-1]), dead_bound)

    def without_bindings(self, bindings: Collection[int]) -> "LiveTrie":
        """The same without the paths of some bindings."""
        hidden = np.array(sorted(bindings), np.int64)
        return self.without(np.flatnonzero(np.isin(self.trie.entries.bindings, hidden)))

    def is_live(self, entries: Indices) -> NDArray[np.bool_]:
        return ~is_in_sorted(entries, self.dead_entries)

    @property
    def entry_count(self) -> int:
        """The number of live entries."""
        return len(self.trie.entries) - len(self.dead_entries)

    @property
    def path_count(self) -> int:
        """The number of paths that a live item has."""
        return len(self.trie.levels[-1]) - len(self.dead_nodes[-1])

    def child_ranges(self, query: PrefixQuery) -> ChildRanges:
        """The children of each prefix, dead ones included, in the order of the query.

        The root is node 0; a trie without entries has no root.
        """
        count = len(query)
        if not len(self.trie.entries):
            nothing = np.zeros(count, np.int64)
            return ChildRanges(np.full(count, -1), nothing, nothing)
        nodes, found = self.trie.find(query)
        starts = self.trie.child_starts(query.depth)
        first = starts.take(nodes).astype(np.int64)
        end = np.where(found, starts.take(nodes + 1), first)
        return ChildRanges(np.where(found, nodes, -1), first, end)

    def child_mask(self, query: PrefixQuery, found: ChildRanges, slots: int) -> NDArray[np.bool_]:
        """(prefixes, slots): the slots of all children, dead ones included."""
        slot, bitmaps = self.trie.levels[query.depth].slot, self.trie.child_bitmaps[query.depth]
        rows = bitmaps.rows_of(found.nodes)
        mask = bitmaps.unpack(query.in_batch_order(rows), slots)
        few = np.flatnonzero(rows == bitmaps.empty_row)
        children, of = expand_ranges(found.first[few], found.end[few])
        mask[query.rows[few[of]], slot.take(children)] = True
        return mask

    def live_child_mask(self, query: PrefixQuery, slots: int) -> NDArray[np.bool_]:
        """(prefixes, slots): the slots after each prefix under which there is a live item."""
        found = self.child_ranges(query)
        mask = self.child_mask(query, found, slots)
        dead, of = self._dead_children(query.depth, found)
        slot = self.trie.levels[query.depth].slot
        mask[query.rows[of], slot.take(dead)] = False
        return mask

    def few_children(self, query: PrefixQuery, found: ChildRanges, most: int) -> ChildPairs | None:
        """The live children as pairs of a prefix's row and a slot.

        None if there are more than `most` children, dead ones included.
        """
        _, first, end = found
        if int((end - first).sum()) > most:
            return None
        children, of = expand_ranges(first, end)
        dead, hit = self._dead_children(query.depth, found)
        if len(dead):
            begins = np.cumsum(end - first) - (end - first)
            live = np.ones(len(children), np.bool_)
            live[begins[hit] + dead - first[hit]] = False
            children, of = children[live], of[live]
        return query.rows[of], self.trie.levels[query.depth].slot.take(children)

    def count(self, query: PrefixQuery) -> Indices:
        """The number of live items below each prefix, in the order of the batch."""
        _, first, end = self.child_ranges(query)
        for level in self.trie.levels[query.depth :]:
            first = level.first_child.take(first).astype(np.int64)
            end = level.first_child.take(end).astype(np.int64)
        counts = end - first - count_in_ranges(self.dead_entries, first, end)
        # Where a bound path still shares the prefix with the item's own path, that one counts.
        for depth in range(query.depth + 1, POSITIONS + 1):
            counts -= count_in_ranges(self.trie.bound_entries[depth], first, end)
            counts += count_in_ranges(self.dead_bound[depth], first, end)
        return query.in_batch_order(counts)

    def entries_of_paths(self, query: PrefixQuery) -> tuple[Indices, Indices]:
        """The live entries of whole paths, and the row of each one's path."""
        _, first, end = self.child_ranges(query)
        entries, of = self._live_in(first, end)
        return entries, query.rows[of]

    def entries_of_nodes(self, nodes: Indices) -> tuple[Indices, Indices]:
        """The live entries of nodes of the last level, and the place of each one's node."""
        first_child = self.trie.levels[-1].first_child
        return self._live_in(first_child[nodes], first_child[nodes + 1])

    def _dead_children(self, depth: int, found: ChildRanges) -> tuple[TrieIndices, Indices]:
        """The dead children of all prefixes, and the place of each one's prefix in the query."""
        dead_nodes = self.dead_nodes[depth]
        if not len(dead_nodes):
            return dead_nodes, np.zeros(0, np.int64)
        bounds = search_sorted(dead_nodes, np.concatenate([found.first, found.end]))
        dead, of = expand_ranges(*np.split(bounds, 2))
        return dead_nodes.take(dead), of

    def _live_in(self, first: RangeBounds, end: RangeBounds) -> tuple[Indices, Indices]:
        entries, of = expand_ranges(first, end)
        live = self.is_live(entries)
        return entries[live], of[live]


def _union(rising: TrieIndices, more: TrieIndices) -> TrieIndices:
    """The values of both, rising, each once."""
    return unique_counts(np.sort(np.concatenate([rising, more])))[0] if len(more) else rising
