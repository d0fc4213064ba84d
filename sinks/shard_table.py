"""What the trie needs of one shard's items, as arrays by ordinal."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.sinks.edits import DropItem, PutItem, ShardEdit

_FIRST_ROOM = 1024


class ShardTable:
    """Identifiers, liveness, popularity and last delta of a shard's items.

    Shapes: identifiers (6, room) uint16; live (room,) bool; popularity (room,) float32; versions
    and offsets (room,) int64: the delta that put the item, and where it lies. It grows with the
    shard's ordinals, 33 bytes each, and with nothing else.
    """

    def __init__(self) -> None:
        self.identifiers: NDArray[np.uint16] = np.zeros((POSITIONS, _FIRST_ROOM), np.uint16)
        self.live: NDArray[np.bool_] = np.zeros(_FIRST_ROOM, np.bool_)
        self.popularity: NDArray[np.float32] = np.zeros(_FIRST_ROOM, np.float32)
        self.versions: NDArray[np.int64] = np.zeros(_FIRST_ROOM, np.int64)
        self.offsets: NDArray[np.int64] = np.zeros(_FIRST_ROOM, np.int64)

    def apply(self, edits: Iterable[ShardEdit], version: int, offset: int) -> None:
        """Take over the items of one accepted delta."""
        newest: dict[int, PutItem | None] = {}
        for edit in edits:
            if isinstance(edit, PutItem):
                newest[edit.ordinal] = edit
            elif isinstance(edit, DropItem) and edit.ordinal >= 0:
                newest[edit.ordinal] = None
        if not newest:
            return
        self._make_room(max(newest) + 1)
        self.live[[ordinal for ordinal, item in newest.items() if item is None]] = False
        put = {ordinal: item for ordinal, item in newest.items() if item is not None}
        if put:
            ordinals = np.fromiter(put, np.int64, len(put))
            self.identifiers[:, ordinals] = np.array(
                [item.identifier for item in put.values()], np.uint16
            ).T
            self.popularity[ordinals] = [item.popularity for item in put.values()]
            self.versions[ordinals] = version
            self.offsets[ordinals] = offset
            self.live[ordinals] = True

    def _make_room(self, size: int) -> None:
        room = len(self.live)
        if size <= room:
            return
        more = max(size, 2 * room) - room
        self.identifiers = np.pad(self.identifiers, ((0, 0), (0, more)))
        self.live = np.pad(self.live, (0, more))
        self.popularity = np.pad(self.popularity, (0, more))
        self.versions = np.pad(self.versions, (0, more))
        self.offsets = np.pad(self.offsets, (0, more))
