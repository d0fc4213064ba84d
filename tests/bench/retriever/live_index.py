"""The index that a model decodes from: a replica's trie over identifiers, with bound words.

The trie, its bindings and its mask are those of a replica. Identifiers of a closed codebook have no
reserved slots, so a word is brought to its items in the only way that is left: the items are put a
second time, under identifiers that the model emits.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from kae.encoders.categories import Identifier, Slot
from kae.sinks.log.edits import ItemHead
from kae.sinks.trie.shard_table import ShardTable
from kae.sinks.trie.trie_writer import TrieWriter
from kae.streams.replica.decode import Constraint
from kae.streams.replica_api.answers import Version

Paths = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class BoundItems:
    """A word on a reserved slot, and the rows of the items that it is attached to."""

    slot: Slot
    rows: BitMap


@dataclass(frozen=True, slots=True)
class ReachedItems:
    """The items behind paths, each once, by the first path that leads to it.

    `bindings` are the numbers of the bound words that led to them; 0: the item's own path.
    """

    rows: list[int]
    bindings: list[int]


class LiveIndex:
    """`codes` (items, 6) in rows; `bound` by a number above 0; `also` are (row, identifier)."""

    def __init__(
        self,
        codes: NDArray[np.int32],
        capacities: Sequence[int],
        bound: Mapping[int, BoundItems] | None = None,
        also: Sequence[tuple[int, Identifier]] = (),
    ) -> None:
        bound = bound or {}
        self._row_of = np.array([*range(len(codes)), *(row for row, _ in also)], np.int64)
        rows = [*codes.tolist(), *(list(identifier) for _, identifier in also)]
        # What is put a second time is listed first.
        popularity = [0.0] * len(codes) + [1.0] * len(also)
        table = ShardTable()
        with ThreadPoolExecutor(1) as bases:
            trie = TrieWriter(1, bases.submit)
            trie.note(0, table.apply(map(_head, range(len(rows)), rows, popularity), 1, 0))
            attached = {number: one.rows for number, one in bound.items()}
            active = {number: one.slot for number, one in bound.items()}
            merged = trie.refresh([table], [attached], active).merged
        self.constraint = Constraint(Version(1, 1, 1, (1,)), merged, capacities)

    def is_live(self, paths: Paths) -> NDArray[np.bool_]:
        """Which identifiers lead to an item."""
        return self.constraint.count(paths) > 0

    def items(self, paths: Paths, of_path: int, limit: int) -> ReachedItems:
        """The first items behind the paths, at most so many of each, in the order of the paths."""
        behind = self.constraint.behind(paths, of_path)
        rows = self._row_of[behind.ordinals]
        _, first = np.unique(rows, return_index=True)
        kept = np.sort(first)[:limit]
        return ReachedItems(rows[kept].tolist(), behind.bindings[kept].tolist())


def _head(ordinal: int, row: list[int], popularity: float) -> ItemHead:
    a, b, c, d, e, f = row
    return ItemHead(str(ordinal), ordinal, 1, b"", (a, b, c, d, e, f), popularity, ())
