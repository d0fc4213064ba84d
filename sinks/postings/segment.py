"""A segment of postings: word key -> ordinals, for the items that were indexed together.

A word is known by a 64-bit key. The arrays of a segment never change. An item that is indexed again
in a newer segment, or dropped, leaves its live set; a merge removes its postings.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

PostingKeys = NDArray[np.int64]
Ordinals = NDArray[np.uint32]


@dataclass(slots=True)
class Segment:
    """Postings as three arrays: `ordinals[starts[n]:starts[n + 1]]` have the key `keys[n]`.

    An ordinal stands as often as its item has the word, so a count costs nothing where all are 1.
    Shapes: keys (k,) rising; starts (k + 1,); ordinals (postings,). `live` are the items that the
    segment answers for, `items` is how many they were when it was built.
    """

    keys: PostingKeys
    starts: PostingKeys
    ordinals: Ordinals
    live: BitMap
    items: int

    @staticmethod
    def build(keys: PostingKeys, ordinals: Ordinals, live: BitMap) -> "Segment":
        """Build from pairs of a key and an ordinal, in any order."""
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        is_first = np.ones(len(keys), np.bool_)
        is_first[1:] = keys[1:] != keys[:-1]
        starts = np.flatnonzero(is_first)
        ends = np.append(starts, len(keys))
        return Segment(keys[starts], ends, ordinals[order], live, len(live))

    @staticmethod
    def merged(segments: Sequence["Segment"]) -> "Segment":
        """One segment of the live items of several."""
        keys, ordinals = zip(*(segment._live_pairs() for segment in segments), strict=True)
        live = BitMap.union(*(segment.live for segment in segments))
        # Each input is sorted already, which the sort of `build` takes advantage of.
        return Segment.build(np.concatenate(keys), np.concatenate(ordinals), live)

    @property
    def size(self) -> int:
        """The number of postings, those of deleted items included."""
        return len(self.ordinals)

    @property
    def is_sparse(self) -> bool:
        """Whether more than half of its items are deleted."""
        return 2 * len(self.live) < self.items

    @property
    def bytes(self) -> int:
        """The memory of its arrays."""
        return self.keys.nbytes + self.starts.nbytes + self.ordinals.nbytes

    def live_ordinals(self, key: int) -> BitMap:
        """The live items that have a key."""
        # A bitmap is made 30 times as fast from an array of C integers as from numpy's.
        return BitMap(array("I", self.postings(key).tobytes())) & self.live

    def postings(self, key: int) -> Ordinals:
        """The ordinals of the items that have a key, deleted ones included."""
        place = int(np.searchsorted(self.keys, key))
        if place == len(self.keys) or self.keys[place] != key:
            return self.ordinals[:0]
        return self.ordinals[self.starts[place] : self.starts[place + 1]]

    def live_mask(self) -> NDArray[np.bool_] | None:
        """Whether each ordinal is live, up to the last that has postings; None where all are."""
        if len(self.live) == self.items:
            return None
        return self._mask(0, int(self.ordinals.max(initial=0)) + 1)

    def _live_pairs(self) -> tuple[PostingKeys, Ordinals]:
        """The keys and ordinals of the live postings, by key."""
        keys = np.repeat(self.keys, np.diff(self.starts))
        if not len(self.ordinals):
            return keys, self.ordinals
        first = int(self.ordinals.min())
        mask = self._mask(first, int(self.ordinals.max()) + 1)
        is_live = mask[self.ordinals.astype(np.int64) - first]
        return keys[is_live], self.ordinals[is_live]

    def _mask(self, first: int, end: int) -> NDArray[np.bool_]:
        """Whether each ordinal of a range is live."""
        mask = np.zeros(end - first, np.bool_)
        live = as_array(self.live) - first
        # An item without any word may lie outside the range of those that have one.
        mask[live[(live >= 0) & (live < len(mask))]] = True
        return mask


def as_array(ordinals: BitMap) -> NDArray[np.int64]:
    """The ordinals of a bitmap, rising, as numpy wants indices."""
    return np.asarray(ordinals.to_array()).astype(np.int64)
