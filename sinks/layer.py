"""A trie of which some entries no longer count: the items behind them have changed since.

The trie itself never changes. What is dead in it is a rising list for the entries, and one a level
for the nodes behind which nobody lives any more, so a layer costs what has died, not what there is;
what nobody lives behind is neither offered nor found.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.sinks.ranges import Bounds, Indices, count_in, is_among, once, places_of, ranges
from kae.sinks.trie import Places, TrieView

Prefixes = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Layer:
    """A trie and what is dead in it.

    Shapes: dead, the dead entries; gone, a level each, the nodes without a live entry below; bound,
    the dead ones among `trie.bound`. All rising.
    """

    trie: TrieView
    dead: Places
    gone: tuple[Places, ...]
    bound: tuple[Places, ...]

    @staticmethod
    def whole(trie: TrieView) -> "Layer":
        """All entries are live."""
        none = np.zeros(0, np.int32)
        return Layer(trie, none, (none,) * POSITIONS, (none,) * len(trie.bound))

    def without(self, entries: Indices | Places) -> "Layer":
        """The same layer in which these entries, in any order, are dead too."""
        if not len(entries):
            return self
        dead = _with(self.dead, entries.astype(np.int32))
        gone, died, below = [], entries, dead
        for level, gone_before in zip(reversed(self.trie.levels), reversed(self.gone), strict=True):
            # Only above what has died now can a node have nobody left.
            parents, _ = once(np.searchsorted(level.first_child, np.sort(died), "right") - 1)
            first, end = level.first_child[parents], level.first_child[parents + 1]
            died = parents[count_in(below, first, end) == end - first]
            below = _with(gone_before, died.astype(np.int32))
            gone.append(below)
        apart = self.trie.entries.apart[dead]
        bound = tuple(dead[apart == depth] if depth else dead[:0] for depth in range(POSITIONS + 1))
        return Layer(self.trie, dead, tuple(gone[::-1]), bound)

    def hiding(self, bindings: Collection[int]) -> "Layer":
        """The same without the paths by some bindings."""
        hidden = np.array(sorted(bindings), np.int64)
        return self.without(np.flatnonzero(np.isin(self.trie.entries.bindings, hidden)))

    def is_live(self, entries: Indices) -> NDArray[np.bool_]:
        return ~is_among(entries, self.dead)

    @property
    def entries(self) -> int:
        """The live entries."""
        return len(self.trie.entries) - len(self.dead)

    @property
    def paths(self) -> int:
        """The paths that a live item hangs behind."""
        return len(self.trie.levels[-1]) - len(self.gone[-1])

    def below(self, prefixes: Prefixes) -> tuple[Indices, Indices, Indices]:
        """The node of each prefix, and the range of what is below it: empty where there is none.

        Shapes: prefixes (n, depth). The root is node 0 of no level.
        """
        count, depth = prefixes.shape
        nodes = np.zeros(count, np.int64)
        if not len(self.trie.entries):
            return nodes, nodes, nodes
        if not depth:
            return nodes, nodes, np.full(count, len(self.trie.levels[0]))
        nodes, found = self.trie.find(prefixes)
        first_child = self.trie.levels[depth - 1].first_child
        first = first_child.take(nodes).astype(np.int64)
        end = np.where(found, first_child.take(nodes + 1), first)
        return nodes, first, end

    def allowed(self, prefixes: Prefixes, slots: int) -> NDArray[np.bool_]:
        """(prefixes, slots): the slots under which, after each prefix, a live item hangs."""
        depth = prefixes.shape[1]
        nodes, first, end = self.below(prefixes)
        slot, rows, gone = self.trie.levels[depth].slot, self.trie.rows[depth], self.gone[depth]
        ready = np.where(first < end, rows.of(nodes), rows.none)
        mask = rows.unpacked(ready, slots)
        few = np.flatnonzero((ready == rows.none) & (first < end))
        children, places = ranges(first[few], end[few])
        mask[few[places], slot.take(children)] = True
        if len(gone):
            dead, places = ranges(places_of(gone, first), places_of(gone, end))
            mask[places, slot.take(gone.take(dead))] = False
        return mask

    def add_to(self, mask: NDArray[np.bool_], prefixes: Prefixes) -> None:
        """Allow in a mask what this layer allows too: for a layer that has little to add."""
        depth = prefixes.shape[1]
        nodes, first, end = self.below(prefixes)
        slot, rows, gone = self.trie.levels[depth].slot, self.trie.rows[depth], self.gone[depth]
        some = np.flatnonzero(first < end)
        has_row = rows.of(nodes[some]) < rows.none
        few, full = some[~has_row], some[has_row]
        children, places = ranges(first[few], end[few])
        if len(gone):
            live = ~is_among(children, gone)
            children, places = children[live], places[live]
        mask[few[places], slot.take(children)] = True
        if len(full):
            mask[full] |= self.allowed(prefixes[full], mask.shape[1])

    def few_children(
        self, prefixes: Prefixes, most: int
    ) -> tuple[Indices, NDArray[np.uint16]] | None:
        """What `allowed` says, as pairs of a prefix's number and a slot; None if more than `most`
        children, the dead ones too, would have to be looked at."""
        depth = prefixes.shape[1]
        _, first, end = self.below(prefixes)
        if int((end - first).sum()) > most:
            return None
        children, places = ranges(first, end)
        gone = self.gone[depth]
        dead, of = ranges(places_of(gone, first), places_of(gone, end))
        if len(dead):
            begins = np.cumsum(end - first) - (end - first)
            live = np.ones(len(children), np.bool_)
            live[begins[of] + gone.take(dead) - first[of]] = False
            children, places = children[live], places[live]
        return places, self.trie.levels[depth].slot.take(children)

    def count(self, prefixes: Prefixes) -> Indices:
        """The live items below each prefix."""
        depth = prefixes.shape[1]
        _, first, end = self.below(prefixes)
        for level in self.trie.levels[depth:]:
            first = level.first_child.take(first).astype(np.int64)
            end = level.first_child.take(end).astype(np.int64)
        counts = end - first - count_in(self.dead, first, end)
        # An item that is below by its own path is counted by that one alone.
        for apart in range(depth + 1, POSITIONS + 1):
            counts -= count_in(self.trie.bound[apart], first, end)
            counts += count_in(self.bound[apart], first, end)
        return counts

    def entries_behind(self, paths: Prefixes) -> tuple[Indices, Indices]:
        """The live entries behind whole paths, and for each the place of its path."""
        _, first, end = self.below(paths)
        return self._live_in(first, end)

    def entries_below(self, nodes: Indices) -> tuple[Indices, Indices]:
        """The live entries behind nodes of the last level, and for each the place of its node."""
        first_child = self.trie.levels[-1].first_child
        return self._live_in(first_child[nodes], first_child[nodes + 1])

    def _live_in(self, first: Bounds, end: Bounds) -> tuple[Indices, Indices]:
        entries, places = ranges(first, end)
        live = self.is_live(entries)
        return entries[live], places[live]


def _with(rising: Places, more: Places) -> Places:
    """Both, rising, each once."""
    return once(np.sort(np.concatenate([rising, more])))[0] if len(more) else rising
