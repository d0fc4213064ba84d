"""A whole trie, and where in it the entries of each item are: what a view stands on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from kae.encoders.categories import Slot
from kae.sinks.trie.layer import Layer
from kae.sinks.trie.ranges import Indices, once, ranges
from kae.sinks.trie.shard_table import ShardTable
from kae.sinks.trie.trie import Places, TrieView

Attached = Sequence[Mapping[int, BitMap]]  # of each shard, by binding
Active = Mapping[int, Slot]


@dataclass(frozen=True, slots=True)
class BaseTrie:
    """A whole trie, with where each item's entries are in it.

    `numbers` are the items' first numbers, a shard each, and the end: ordinals laid end to end.
    Entries by_item[first[n]:first[n + 1]] are those of item number n. `bound` are the bindings that
    each shard had attached, `entries_of_binding` how many entries each binding has.
    """

    layer: Layer
    numbers: tuple[int, ...]
    by_item: Places
    first: Places
    bound: tuple[frozenset[int], ...]
    entries_of_binding: Mapping[int, int]

    @staticmethod
    def build(tables: Sequence[ShardTable], attached: Attached, active: Active) -> "BaseTrie":
        trie = TrieView.build(tables, attached, active)
        sizes = [len(table.live) for table in tables]
        numbers = np.cumsum([0, *sizes])
        items = numbers[trie.entries.shards] + trie.entries.ordinals.astype(np.int64)
        by_item, first = _by_number(items, int(numbers[-1]))
        added = trie.entries.bindings[np.concatenate(trie.bound)]
        bindings, counts = np.unique(added, return_counts=True)
        return BaseTrie(
            Layer.whole(trie),
            tuple(numbers.tolist()),
            by_item,
            first,
            tuple(frozenset(members.keys() & active.keys()) for members in attached),
            dict(zip(bindings.tolist(), counts.tolist(), strict=True)),
        )

    def entries_of(self, shard: int, ordinals: BitMap) -> Places:
        """The entries of some items of a shard; none of those that came later."""
        numbers = np.asarray(ordinals.to_array()).astype(np.int64) + self.numbers[shard]
        numbers = numbers[numbers < self.numbers[shard + 1]]
        places, _ = ranges(self.first[numbers], self.first[numbers + 1])
        return self.by_item[places]

    def entries_by(self, gone: Sequence[frozenset[int]]) -> Places:
        """The entries of bindings that shards no longer have."""
        if not any(gone):
            return np.zeros(0, np.int32)
        trie = self.layer.trie
        added = np.concatenate(trie.bound)
        # Both in one number, so that a campaign that goes costs what one term does.
        numbers = _bound_number(trie.entries.bindings[added], trie.entries.shards[added])
        wanted = [
            _bound_number(np.array(sorted(bindings), np.int64), np.array(shard))
            for shard, bindings in enumerate(gone)
        ]
        return added[np.isin(numbers, np.concatenate(wanted))]

    def bindings_in(self, layer: Layer) -> frozenset[int]:
        """The bindings that a live entry is by; `layer` is this base's with more dead."""
        dead = Counter(layer.trie.entries.bindings[np.concatenate(layer.bound)].tolist())
        if not dead:
            return self.layer.trie.bindings
        return frozenset(
            binding for binding, count in self.entries_of_binding.items() if count > dead[binding]
        )


def _by_number(numbers: Indices, end: int) -> tuple[Places, Places]:
    """The places of numbers below `end`, together by number: first[n]:first[n + 1] are those of n.

    Nearly every number is there once, so most of them can be laid where they belong.
    """
    first = np.append(0, np.cumsum(np.bincount(numbers, minlength=end))).astype(np.int32)
    places = np.zeros(len(numbers), np.int32)
    places[first[numbers]] = np.arange(len(numbers))  # of each number, the last
    again = np.flatnonzero(places[first[numbers]] != np.arange(len(numbers)))
    again = again[np.argsort(numbers[again], kind="stable")]
    _, counts = once(numbers[again])
    ranks, _ = ranges(np.ones_like(counts), counts + 1)
    places[first[numbers[again]] + ranks] = again
    return places, first


def _bound_number(binding: NDArray[Any], shard: NDArray[Any]) -> NDArray[np.int64]:
    return (binding.astype(np.int64) << 16) | shard.astype(np.int64)
