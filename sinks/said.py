"""What the items of one view say, seen from its trie: which entries say a word, and which slots.

Only own paths count: an item that a term gives more paths says no more for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.sinks.sayings import Captured, keys_of
from kae.sinks.trie import Indices, TrieView

Floats = NDArray[np.float32]

# A word that an item's attributes alone have counts as so much of one in its text.
ATTRIBUTE_TIMES = 0.5


@dataclass(frozen=True, slots=True)
class Mentions:
    """The own entries of the items that say a word, rising, and how often each does."""

    entries: Indices
    times: Floats


@dataclass(frozen=True, slots=True)
class Said:
    """Shapes: own_entry (ordinals of all shards,), -1 where no live item is; lengths (entries,)."""

    shards: tuple[Captured, ...]
    first_ordinal: tuple[int, ...]  # of each shard in own_entry
    own_entry: Indices
    lengths: Floats
    mean_length: float
    items_of_slot: tuple[Floats, ...]  # by position

    @staticmethod
    def build(trie: TrieView, shards: Sequence[Captured]) -> "Said":
        rooms = [len(captured.lengths) for captured in shards]
        first = np.concatenate(([0], np.cumsum(rooms)))
        entries = trie.entries
        own = np.flatnonzero(entries.bindings == 0)
        own_entry = np.full(int(first[-1]), -1, np.int64)
        own_entry[first[entries.shards[own]] + entries.ordinals[own]] = own
        lengths = np.concatenate([captured.lengths for captured in shards]).astype(np.float32)
        lengths = lengths[first[entries.shards] + entries.ordinals]
        return Said(
            tuple(shards),
            tuple(first[:-1].tolist()),
            own_entry,
            lengths,
            float(lengths[own].mean()) if len(own) else 0.0,
            tuple(
                np.bincount(column[own], minlength=int(column.max(initial=0)) + 1).astype(
                    np.float32
                )
                for column in entries.slots
            ),
        )

    def own_entries(self, trie: TrieView, entries: Indices) -> Indices:
        """The own entries of the items of these entries."""
        first = np.array(self.first_ordinal)
        return self.own_entry[first[trie.entries.shards[entries]] + trie.entries.ordinals[entries]]

    def saying(self, spellings: Sequence[str]) -> Mentions:
        """The items that say all of these tokens, as often as the one that they say least."""
        found = [self._saying_one(spelling) for spelling in spellings]
        entries, times = found[0].entries, found[0].times
        for other in found[1:]:
            entries, mine, its = np.intersect1d(
                entries, other.entries, assume_unique=True, return_indices=True
            )
            times = np.minimum(times[mine], other.times[its])
        return Mentions(entries, times)

    def _saying_one(self, spelling: str) -> Mentions:
        in_text, alone = keys_of(spelling)
        entries, times = np.unique(self._entries(in_text), return_counts=True)
        others = self._entries(alone)
        # No item has both.
        entries = np.concatenate([entries, others])
        weights = np.concatenate([times, np.full(len(others), ATTRIBUTE_TIMES)])
        order = np.argsort(entries)
        return Mentions(entries[order], weights[order].astype(np.float32))

    def _entries(self, key: int) -> Indices:
        """The own entries of the live items with a key, as often as they have it."""
        pieces = [
            self.own_entry[kept.saying(key).astype(np.int64) + first]
            for captured, first in zip(self.shards, self.first_ordinal, strict=True)
            for kept in captured.kept
        ]
        found = np.concatenate(pieces) if pieces else np.zeros(0, np.int64)
        return found[found >= 0]

    def shares(self, trie: TrieView, mentions: Mentions) -> list[Floats]:
        """For each position and slot the share of its items that say a word; nothing says empty."""
        shares = []
        for position in range(POSITIONS):
            items = self.items_of_slot[position]
            slots = trie.entries.slots[position][mentions.entries]
            share = np.bincount(slots, minlength=len(items)).astype(np.float32)
            share /= np.maximum(items, 1)
            share[:1] = 0
            shares.append(share)
        return shares
