"""A trie of which some entries no longer count: the items behind them have changed since.

The trie itself never changes. For each node it is known how many live entries hang below it, so
what nobody lives behind is neither offered nor found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.sinks.trie import Indices, TrieView


@dataclass(frozen=True, slots=True)
class Layer:
    """A trie and its live entries.

    Shapes: live (entries,) bool; counts, a level each, (nodes,) int32: the live entries below;
    starts, a level each, (nodes + 1,): the first entry below each node, and the end; keys, a level
    each, (nodes,): the parent's number and the slot as one number, rising.
    """

    trie: TrieView
    live: NDArray[np.bool_]
    counts: tuple[NDArray[np.int32], ...]
    starts: tuple[Indices, ...]
    keys: tuple[Indices, ...]

    @staticmethod
    def whole(trie: TrieView) -> "Layer":
        """All entries are live."""
        starts = [trie.levels[-1].first_child]
        for level in trie.levels[-2::-1]:
            starts.append(starts[-1][level.first_child])
        starts.reverse()
        counts = tuple(np.diff(start).astype(np.int32) for start in starts)
        return Layer(
            trie, np.ones(len(trie.entries), np.bool_), counts, tuple(starts), tuple(_keys(trie))
        )

    def without(self, entries: Indices) -> "Layer":
        """The same layer in which these entries, each given once, are dead too."""
        entries = entries[self.live[entries]]
        if not len(entries):
            return self
        live = self.live.copy()
        live[entries] = False
        counts = []
        for count, start in zip(self.counts, self.starts, strict=True):
            left = count.copy()
            np.subtract.at(left, np.searchsorted(start, entries, "right") - 1, 1)
            counts.append(left)
        return Layer(self.trie, live, tuple(counts), self.starts, self.keys)

    @property
    def paths(self) -> int:
        """The paths that a live item hangs behind."""
        return int(np.count_nonzero(self.counts[-1]))

    def children(self, prefix: Sequence[int] = ()) -> NDArray[np.uint16]:
        """The mask: exactly the slots under which, after `prefix`, at least one live item hangs."""
        levels = self.trie.levels
        start, end = 0, len(levels[0])
        for level, index in zip(levels, prefix, strict=False):
            node = start + int(np.searchsorted(level.slot[start:end], index))
            if node >= end or level.slot[node] != index:
                return np.zeros(0, np.uint16)
            start, end = int(level.first_child[node]), int(level.first_child[node + 1])
        depth = len(prefix)
        if depth >= POSITIONS:
            return np.zeros(0, np.uint16)
        return levels[depth].slot[start:end][self.counts[depth][start:end] > 0]

    def count_at(self, paths: NDArray[np.uint16]) -> NDArray[np.int32]:
        """The live entries behind each of some whole paths; 0 where the trie has no such path.

        Shapes: paths (6, n); the answer (n,).
        """
        nodes: Indices = np.zeros(paths.shape[1], np.int64)
        found = np.ones(paths.shape[1], np.bool_)
        for keys, slots in zip(self.keys, paths, strict=True):
            wanted = nodes << 16 | slots
            nodes = np.minimum(np.searchsorted(keys, wanted), max(0, len(keys) - 1))
            found &= keys[nodes] == wanted if len(keys) else False
        counts = np.zeros(paths.shape[1], np.int32)
        counts[found] = self.counts[-1][nodes[found]]
        return counts

    def entries_below(self, paths: Indices) -> tuple[Indices, Indices]:
        """The live entries behind nodes of the last level, and for each the place of its node."""
        start = self.starts[-1]
        first = start[paths]
        entries, places = ranges(first, start[paths + 1])
        living = self.live[entries]
        return entries[living], places[living]


def _keys(trie: TrieView) -> Iterator[Indices]:
    parents: Indices = np.zeros(len(trie.levels[0]), np.int64)
    for level in trie.levels:
        yield parents << 16 | level.slot
        parents = np.repeat(np.arange(len(level)), np.diff(level.first_child))


def ranges(first: Indices, end: Indices) -> tuple[Indices, Indices]:
    """The ranges first..end laid end to end, and for each element the number of its range."""
    counts = end - first
    # A running count, moved to each range's beginning.
    moved = np.repeat(first - (np.cumsum(counts) - counts), counts)
    return moved + np.arange(counts.sum()), np.repeat(np.arange(len(counts)), counts)
