"""Decoding a query over the trie: position by position, keeping the best prefixes.

What a path is worth is how much of the query it covers: for each thing that the query wants its
weight, times the worth for it of the one slot of the path that is worth most; all other slots are
free and worth nothing. A prefix is kept for the best path below it, which is known exactly, so a
beam of n finds n paths that no other path covers more than.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.sinks.trie.layer import Layer
from kae.sinks.trie.ranges import Indices, ranges
from kae.sinks.trie.trie import Level

Coverage = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Wanted:
    """`worth[position][index]` is a slot's, 0 to 1; of a slot beyond the end it is 0."""

    weight: float
    worth: Sequence[Coverage]


@dataclass(frozen=True, slots=True)
class Decoded:
    """Paths that cover something of the query, the best first.

    `nodes` are nodes of the trie's last level, `coverage` is theirs.
    """

    nodes: Indices
    coverage: Coverage


def decode_all(layers: Sequence[Layer], wanted: Sequence[Wanted], beam: int) -> list[Decoded]:
    """The `beam` paths of several layers that cover most, by the layer that they are of."""
    decoded = [decode(layer, wanted, beam) for layer in layers]
    ranked = [_ranks(layer, found) for layer, found in zip(layers, decoded, strict=True)]
    order = np.lexsort(np.concatenate(ranked, 1))[:beam]
    kept = np.zeros(sum(len(found.nodes) for found in decoded), np.bool_)
    kept[order] = True
    parts = np.split(kept, np.cumsum([len(found.nodes) for found in decoded])[:-1])
    return [
        Decoded(found.nodes[part], found.coverage[part])
        for found, part in zip(decoded, parts, strict=True)
    ]


def _ranks(layer: Layer, found: Decoded) -> NDArray[np.float64]:
    """What paths are ordered by, the last row first."""
    level, entries = layer.trie.levels[-1], layer.trie.entries
    slots = entries.slots[::-1, level.first_child[found.nodes]]
    return np.vstack([slots, -level.popularity[found.nodes], -found.coverage]).astype(np.float64)


def decode(layer: Layer, wanted: Sequence[Wanted], beam: int) -> Decoded:
    """The `beam` live paths that cover most; of equal coverage the more popular, then trie order.

    How popular a path is counts the items that have left it too, until the next base.
    """
    trie = layer.trie
    best = _best_below(layer, wanted)
    level, nodes = trie.levels[0], np.arange(len(trie.levels[0]))
    nodes = _keep(level, nodes, best[0], beam)
    for depth in range(1, POSITIONS):
        nodes = _children(level, nodes)
        level = trie.levels[depth]
        nodes = _keep(level, nodes, best[depth], beam)
    return Decoded(nodes, best[-1][nodes])


def _best_below(layer: Layer, wanted: Sequence[Wanted]) -> list[Coverage]:
    """For each node of each level, the highest coverage of a live path through it."""
    trie = layer.trie
    coverage = coverage_of(trie.entries.slots[:, trie.levels[-1].first_child[:-1]], wanted)
    coverage[layer.gone[-1]] = 0
    best = [coverage]
    for level in trie.levels[-2::-1]:
        below = best[-1]
        best.append(np.maximum.reduceat(below, level.first_child[:-1]) if len(below) else below)
    return best[::-1]


def coverage_of(paths: NDArray[np.uint16], wanted: Sequence[Wanted]) -> Coverage:
    """What paths, a column each, cover of a query."""
    coverage = np.zeros(paths.shape[1], np.float32)
    for want in wanted:
        most = np.zeros(paths.shape[1], np.float32)
        for slots, worth in zip(paths, want.worth, strict=True):
            if worth.any():
                ending = np.append(worth, np.float32(0))
                np.maximum(most, ending[np.minimum(slots, len(worth))], out=most)
        coverage += np.float32(want.weight) * most
    return coverage


def _keep(level: Level, nodes: Indices, best: Coverage, beam: int) -> Indices:
    """The `beam` best of some nodes that cover anything at all, the best first."""
    nodes = nodes[best[nodes] > 0]
    order = np.lexsort((nodes, -level.popularity[nodes], -best[nodes]))
    return nodes[order[:beam]]


def _children(level: Level, nodes: Indices) -> Indices:
    return ranges(level.first_child[nodes], level.first_child[nodes + 1])[0]
