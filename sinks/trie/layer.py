"""A trie of which some entries no longer count: the items behind them have changed since.

The trie itself never changes. What is dead in it is a rising list for the entries, and one a level
for the nodes behind which nobody lives any more, so a layer costs what has died, not what there is;
what nobody lives behind is neither offered nor found.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.sinks.trie.prefixes import Pairs, PrefixQuery
from kae.sinks.trie.ranges import Indices, RangeBounds, count_in, is_among, once, places_of, ranges
from kae.sinks.trie.trie import Places, TrieView


class Below(NamedTuple):
    """Of each prefix its node, -1 where there is none, and the range of that node's children.

    Children are nodes of the next level, after the last one entries; the range of no node is empty.
    """

    nodes: Indices
    first: Indices
    end: Indices


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
            parents, _ = once(places_of(level.first_child, np.sort(died), "right") - 1)
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

    def below(self, asked: PrefixQuery) -> Below:
        """What is below each prefix, in the order of `asked`.

        The root is node 0, but none where the layer has no entries.
        """
        count = len(asked)
        if not len(self.trie.entries):
            nothing = np.zeros(count, np.int64)
            return Below(np.full(count, -1), nothing, nothing)
        nodes, found = self.trie.find(asked)
        links = self.trie.links(asked.depth)
        first = links.take(nodes).astype(np.int64)
        end = np.where(found, links.take(nodes + 1), first)
        return Below(np.where(found, nodes, -1), first, end)

    def shown(self, asked: PrefixQuery, below: Below, slots: int) -> NDArray[np.bool_]:
        """(prefixes, slots): those of all children, the dead ones too."""
        slot, rows = self.trie.levels[asked.depth].slot, self.trie.rows[asked.depth]
        ready = rows.of(below.nodes)
        mask = rows.unpacked(asked.as_asked(ready), slots)
        few = np.flatnonzero(ready == rows.none)
        children, of = ranges(below.first[few], below.end[few])
        mask[asked.places[few[of]], slot.take(children)] = True
        return mask

    def allowed(self, asked: PrefixQuery, slots: int) -> NDArray[np.bool_]:
        """(prefixes, slots): the slots under which, after each prefix, a live item hangs."""
        below = self.below(asked)
        mask = self.shown(asked, below, slots)
        dead, of = self._gone(asked.depth, below)
        slot = self.trie.levels[asked.depth].slot
        mask[asked.places[of], slot.take(dead)] = False
        return mask

    def few_children(self, asked: PrefixQuery, below: Below, most: int) -> Pairs | None:
        """What `allowed` says, as pairs of a prefix's place and a slot; None if more than `most`
        children, the dead ones too, would have to be looked at."""
        _, first, end = below
        if int((end - first).sum()) > most:
            return None
        children, of = ranges(first, end)
        dead, hit = self._gone(asked.depth, below)
        if len(dead):
            begins = np.cumsum(end - first) - (end - first)
            live = np.ones(len(children), np.bool_)
            live[begins[hit] + dead - first[hit]] = False
            children, of = children[live], of[live]
        return asked.places[of], self.trie.levels[asked.depth].slot.take(children)

    def count(self, asked: PrefixQuery) -> Indices:
        """The live items below each prefix, where it stood."""
        _, first, end = self.below(asked)
        for level in self.trie.levels[asked.depth :]:
            first = level.first_child.take(first).astype(np.int64)
            end = level.first_child.take(end).astype(np.int64)
        counts = end - first - count_in(self.dead, first, end)
        # An item that is below by its own path is counted by that one alone.
        for apart in range(asked.depth + 1, POSITIONS + 1):
            counts -= count_in(self.trie.bound[apart], first, end)
            counts += count_in(self.bound[apart], first, end)
        return asked.as_asked(counts)

    def entries_behind(self, asked: PrefixQuery) -> tuple[Indices, Indices]:
        """The live entries behind whole paths, and for each the place of its path."""
        _, first, end = self.below(asked)
        entries, of = self._live_in(first, end)
        return entries, asked.places[of]

    def entries_below(self, nodes: Indices) -> tuple[Indices, Indices]:
        """The live entries behind nodes of the last level, and for each the place of its node."""
        first_child = self.trie.levels[-1].first_child
        return self._live_in(first_child[nodes], first_child[nodes + 1])

    def _gone(self, depth: int, below: Below) -> tuple[Places, Indices]:
        """The dead children of each prefix, end to end, and for each the number of its prefix."""
        gone = self.gone[depth]
        if not len(gone):
            return gone, np.zeros(0, np.int64)
        begins, ends = np.split(places_of(gone, np.concatenate([below.first, below.end])), 2)
        dead, of = ranges(begins, ends)
        return gone.take(dead), of

    def _live_in(self, first: RangeBounds, end: RangeBounds) -> tuple[Indices, Indices]:
        entries, places = ranges(first, end)
        live = self.is_live(entries)
        return entries[live], places[live]


def _with(rising: Places, more: Places) -> Places:
    """Both, rising, each once."""
    return once(np.sort(np.concatenate([rising, more])))[0] if len(more) else rising
