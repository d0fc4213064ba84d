"""Beam search over a trie: position by position, keeping the best prefixes.

A path is scored by how much of the query it covers. A clause of the query adds its weight times the
highest worth that a slot of the path has for it; other slots cost nothing. A prefix is kept for the
best path below it, which is known exactly, so a beam of n finds n paths that no other path exceeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.sinks.trie.live_trie import LiveTrie
from kae.sinks.trie.sorted_arrays import Indices, expand_ranges
from kae.sinks.trie.trie import Level

Coverage = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class QueryClause:
    """One thing that a query asks for.

    `worth[position][index]` is what a slot is worth for it, 0 to 1, and 0 beyond the end.
    """

    weight: float
    worth: Sequence[Coverage]


@dataclass(frozen=True, slots=True)
class BeamPaths:
    """Paths that cover something of the query, the best first, as nodes of the last level."""

    nodes: Indices
    coverage: Coverage


def beam_search_all(
    tries: Sequence[LiveTrie], clauses: Sequence[QueryClause], beam: int
) -> list[BeamPaths]:
    """The `beam` paths of several tries that cover most, by trie."""
    found = [beam_search(trie, clauses, beam) for trie in tries]
    ranks = [_ranks(trie, paths) for trie, paths in zip(tries, found, strict=True)]
    order = np.lexsort(np.concatenate(ranks, 1))[:beam]
    sizes = [len(paths.nodes) for paths in found]
    kept = np.zeros(sum(sizes), np.bool_)
    kept[order] = True
    parts = np.split(kept, np.cumsum(sizes)[:-1])
    return [
        BeamPaths(paths.nodes[part], paths.coverage[part])
        for paths, part in zip(found, parts, strict=True)
    ]


def _ranks(live: LiveTrie, found: BeamPaths) -> NDArray[np.float64]:
    """The keys that paths are sorted by, the last row first."""
    level, entries = live.trie.levels[-1], live.trie.entries
    slots = entries.slots[::-1, level.first_child[found.nodes]]
    return np.vstack([slots, -level.popularity[found.nodes], -found.coverage]).astype(np.float64)


def beam_search(live: LiveTrie, clauses: Sequence[QueryClause], beam: int) -> BeamPaths:
    """The `beam` live paths that cover most; equal ones by popularity, then in the trie's order.

    The popularity of a path counts its dead entries too.
    """
    trie = live.trie
    best = _best_below(live, clauses)
    level, nodes = trie.levels[0], np.arange(len(trie.levels[0]))
    nodes = _keep(level, nodes, best[0], beam)
    for depth in range(1, POSITIONS):
        nodes = _children(level, nodes)
        level = trie.levels[depth]
        nodes = _keep(level, nodes, best[depth], beam)
    return BeamPaths(nodes, best[-1][nodes])


def _best_below(live: LiveTrie, clauses: Sequence[QueryClause]) -> list[Coverage]:
    """The highest coverage of a live path through each node of each level."""
    trie = live.trie
    coverage = path_coverage(trie.entries.slots[:, trie.levels[-1].first_child[:-1]], clauses)
    coverage[live.dead_nodes[-1]] = 0
    best = [coverage]
    for level in trie.levels[-2::-1]:
        below = best[-1]
        best.append(np.maximum.reduceat(below, level.first_child[:-1]) if len(below) else below)
    return best[::-1]


def path_coverage(paths: NDArray[np.uint16], clauses: Sequence[QueryClause]) -> Coverage:
    """How much of a query each path (6, n) covers."""
    coverage = np.zeros(paths.shape[1], np.float32)
    for clause in clauses:
        most = np.zeros(paths.shape[1], np.float32)
        for slots, worth in zip(paths, clause.worth, strict=True):
            if worth.any():
                with_end = np.append(worth, np.float32(0))
                np.maximum(most, with_end[np.minimum(slots, len(worth))], out=most)
        coverage += np.float32(clause.weight) * most
    return coverage


def _keep(level: Level, nodes: Indices, best: Coverage, beam: int) -> Indices:
    """The `beam` best of those nodes that cover anything, the best first."""
    nodes = nodes[best[nodes] > 0]
    order = np.lexsort((nodes, -level.popularity[nodes], -best[nodes]))
    return nodes[order[:beam]]


def _children(level: Level, nodes: Indices) -> Indices:
    return expand_ranges(level.first_child[nodes], level.first_child[nodes + 1])[0]
