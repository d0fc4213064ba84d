"""A mask of some complete paths alone, for a decode that is to end in one of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.sinks.trie.prefixes import Prefixes
from kae.sinks.trie.sorted_arrays import Indices

_SLOT_BITS = 16


class PathMask:
    """The paths as a trie: a node is its place among the sorted (parent, slot) of its depth."""

    def __init__(self, paths: Prefixes, capacities: Sequence[int]) -> None:
        """`paths` are (paths, 6); of equal ones only one counts."""
        self._capacities = tuple(capacities)
        self._nodes: list[Indices] = []
        parents = np.zeros(len(paths), np.int64)
        for position in range(POSITIONS):
            keys = parents << _SLOT_BITS | paths[:, position]
            nodes, places = np.unique(keys, return_inverse=True)
            self._nodes.append(nodes)
            parents = places.reshape(-1)

    def __call__(self, prefixes: Prefixes) -> NDArray[np.bool_]:
        """(prefixes, capacity of the next position): the slots that lead to one of the paths.

        A prefix that begins none of them has no slot.
        """
        depth = prefixes.shape[1]
        parents, known = self._find(prefixes)
        nodes = self._nodes[depth]
        begins = np.searchsorted(nodes, parents << _SLOT_BITS)
        ends = np.searchsorted(nodes, parents + 1 << _SLOT_BITS)
        sizes = np.where(known, ends - begins, 0)
        rows = np.repeat(np.arange(len(prefixes)), sizes)
        before = np.repeat(np.cumsum(sizes) - sizes, sizes)
        places = np.repeat(begins, sizes) + np.arange(len(rows)) - before
        mask = np.zeros((len(prefixes), self._capacities[depth]), np.bool_)
        mask[rows, nodes[places] & (1 << _SLOT_BITS) - 1] = True
        return mask

    def _find(self, prefixes: Prefixes) -> tuple[Indices, NDArray[np.bool_]]:
        """The node of each prefix, and whether it has one."""
        found = np.zeros(len(prefixes), np.int64)
        known = np.full(len(prefixes), len(self._nodes[0]) > 0)
        for position in range(prefixes.shape[1]):
            nodes = self._nodes[position]
            wanted = found << _SLOT_BITS | prefixes[:, position]
            found = np.minimum(np.searchsorted(nodes, wanted), max(0, len(nodes) - 1))
            known &= nodes[found] == wanted if len(nodes) else False
        return found, known
