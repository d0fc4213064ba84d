"""The columns of a shard's items that paths are made of, by ordinal."""

from array import array
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from kae.encoders.categories import POSITIONS
from kae.sinks.log.edits import DropItem, ItemHead, ShardEdit
from kae.sinks.store.store import StoredPaths

_FIRST_ROOM = 1024


class ShardTable:
    """Identifiers, liveness, popularity and newest delta of a shard's items.

    Shapes: identifiers (6, room) uint16; live (room,) bool; popularity (room,) float32; versions
    and offsets (room,) int64, of the delta that put the item. It takes 33 bytes an ordinal.
    """

    def __init__(self) -> None:
        self.identifiers: NDArray[np.uint16] = np.zeros((POSITIONS, _FIRST_ROOM), np.uint16)
        self.live: NDArray[np.bool_] = np.zeros(_FIRST_ROOM, np.bool_)
        self.popularity: NDArray[np.float32] = np.zeros(_FIRST_ROOM, np.float32)
        self.versions: NDArray[np.int64] = np.zeros(_FIRST_ROOM, np.int64)
        self.offsets: NDArray[np.int64] = np.zeros(_FIRST_ROOM, np.int64)

    @property
    def bytes(self) -> int:
        """The memory of its arrays."""
        columns = (self.identifiers, self.live, self.popularity, self.versions, self.offsets)
        return sum(column.nbytes for column in columns)

    def apply(self, edits: Iterable[ShardEdit], version: int, offset: int) -> BitMap:
        """Apply the items of one accepted delta; returns those whose paths may differ now."""
        newest: dict[int, ItemHead | None] = {}
        for edit in edits:
            if isinstance(edit, ItemHead):
                newest[edit.ordinal] = edit
            elif isinstance(edit, DropItem) and edit.ordinal >= 0:
                newest[edit.ordinal] = None
        if not newest:
            return BitMap()
        self.make_room(max(newest) + 1)
        dropped = [ordinal for ordinal, item in newest.items() if item is None]
        self.live[dropped] = False
        changed = BitMap(dropped)
        put = {ordinal: item for ordinal, item in newest.items() if item is not None}
        if put:
            changed |= self._put(put, version, offset)
        return changed

    def load(self, paths: StoredPaths, version: int, offset: int) -> None:
        """Add paths that a store already holds."""
        ordinals = paths.ordinals.astype(np.int64)
        self.make_room(int(ordinals.max()) + 1)
        self._set(ordinals, paths.identifiers, paths.popularity, version, offset)

    @property
    def ordinals(self) -> BitMap:
        """The ordinals of the live items."""
        return _bitmap(np.flatnonzero(self.live))

    def _put(self, items: dict[int, ItemHead], version: int, offset: int) -> BitMap:
        ordinals = np.fromiter(items, np.int64, len(items))
        identifiers = np.array([item.identifier for item in items.values()], np.uint16).T
        popularity = np.array([item.popularity for item in items.values()], np.float32)
        differs = (
            ~self.live[ordinals]
            | (self.popularity[ordinals] != popularity)
            | (self.identifiers[:, ordinals] != identifiers).any(axis=0)
        )
        self._set(ordinals, identifiers, popularity, version, offset)
        return _bitmap(ordinals[differs])

    def _set(
        self,
        ordinals: NDArray[np.int64],
        identifiers: NDArray[np.uint16],
        popularity: NDArray[np.float32],
        version: int,
        offset: int,
    ) -> None:
        self.identifiers[:, ordinals] = identifiers
        self.popularity[ordinals] = popularity
        self.versions[ordinals] = version
        self.offsets[ordinals] = offset
        self.live[ordinals] = True

    def copy_paths(self) -> "ShardTable":
        """A copy of the columns that paths are made of, for another thread."""
        copy = ShardTable()
        copy.identifiers = self.identifiers.copy()
        copy.live = self.live.copy()
        copy.popularity = self.popularity.copy()
        return copy

    def make_room(self, size: int) -> None:
        """Grow the columns to hold at least so many ordinals."""
        room = len(self.live)
        if size <= room:
            return
        more = max(size, 2 * room) - room
        self.identifiers = np.pad(self.identifiers, ((0, 0), (0, more)))
        self.live = np.pad(self.live, (0, more))
        self.popularity = np.pad(self.popularity, (0, more))
        self.versions = np.pad(self.versions, (0, more))
        self.offsets = np.pad(self.offsets, (0, more))


def _bitmap(ordinals: NDArray[np.int64]) -> BitMap:
    # A bitmap is made 30 times as fast from an array of C integers as from numpy's.
    return BitMap(array("I", ordinals.astype(np.uint32).tobytes()))
