"""The base of a view's trie, and where in it the entries of each item are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from kae.encoders.categories import Slot
from kae.sinks.trie.live_trie import LiveTrie
from kae.sinks.trie.shard_table import ShardTable
from kae.sinks.trie.sorted_arrays import Indices, expand_ranges, unique_counts
from kae.sinks.trie.trie import Trie, TrieIndices

Attached = Sequence[Mapping[int, BitMap]]  # a shard each: ordinals by binding
Active = Mapping[int, Slot]


@dataclass(frozen=True, slots=True)
class BaseTrie:
    """A trie of everything, with the entries of each item and binding.

    Items are numbered through: those of shard n from `first_item[n]` on, by ordinal. The entries of
    item number i are entries_by_item[first_entry[i]:first_entry[i + 1]]. `bindings_of_shard` are
    those that each shard had attached, `entry_counts` the number of entries of each binding.
    """

    all_live: LiveTrie
    first_item: tuple[int, ...]
    entries_by_item: TrieIndices
    first_entry: TrieIndices
    bindings_of_shard: tuple[frozenset[int], ...]
    entry_counts: Mapping[int, int]

    @staticmethod
    def build(tables: Sequence[ShardTable], attached: Attached, active: Active) -> "BaseTrie":
        trie = Trie.build(tables, attached, active)
        first_item = np.cumsum([0, *(len(table.live) for table in tables)])
        items = first_item[trie.entries.shards] + trie.entries.ordinals.astype(np.int64)
        entries_by_item, first_entry = _group_by_item(items, int(first_item[-1]))
        bound = trie.entries.bindings[np.concatenate(trie.bound_entries)]
        bindings, counts = np.unique(bound, return_counts=True)
        return BaseTrie(
            LiveTrie.all_live(trie),
            tuple(first_item.tolist()),
            entries_by_item,
            first_entry,
            tuple(frozenset(members.keys() & active.keys()) for members in attached),
            dict(zip(bindings.tolist(), counts.tolist(), strict=True)),
        )

    def entries_of(self, shard: int, ordinals: BitMap) -> TrieIndices:
        """The entries of some items of a shard; items that came later have none."""
        items = np.asarray(ordinals.to_array()).astype(np.int64) + self.first_item[shard]
        items = items[items < self.first_item[shard + 1]]
        places, _ = expand_ranges(self.first_entry[items], self.first_entry[items + 1])
        return self.entries_by_item[places]

    def entries_of_bindings(self, removed: Sequence[frozenset[int]]) -> TrieIndices:
        """The entries of some bindings of each shard."""
        if not any(removed):
            return np.zeros(0, np.int32)
        trie = self.all_live.trie
        bound = np.concatenate(trie.bound_entries)
        # Binding and shard as one key: releasing a campaign then costs what releasing a term does.
        keys = _binding_key(trie.entries.bindings[bound], trie.entries.shards[bound])
        wanted = [
            _binding_key(np.array(sorted(bindings), np.int64), np.array(shard))
            for shard, bindings in enumerate(removed)
        ]
        return bound[np.isin(keys, np.concatenate(wanted))]

    def live_bindings(self, live: LiveTrie) -> frozenset[int]:
        """The bindings that have a live entry; `live` is this base with its dead."""
        bound = live.trie.entries.bindings[np.concatenate(live.dead_bound)]
        dead = Counter(bound.tolist())
        if not dead:
            return self.all_live.trie.bindings
        return frozenset(
            binding for binding, count in self.entry_counts.items() if count > dead[binding]
        )


def _group_by_item(items: Indices, end: int) -> tuple[TrieIndices, TrieIndices]:
    """The entries of items below `end`, by item: first[n]:first[n + 1] are those of item n.

    Nearly every item has one entry, so most entries are put in place without a sort.
    """
    first = np.append(0, np.cumsum(np.bincount(items, minlength=end))).astype(np.int32)
    entries = np.zeros(len(items), np.int32)
    entries[first[items]] = np.arange(len(items))  # the last entry of each item stays
    others = np.flatnonzero(entries[first[items]] != np.arange(len(items)))
    others = others[np.argsort(items[others], kind="stable")]
    _, counts = unique_counts(items[others])
    ranks, _ = expand_ranges(np.ones_like(counts), counts + 1)
    entries[first[items[others]] + ranks] = others
    return entries, first


def _binding_key(binding: NDArray[Any], shard: NDArray[Any]) -> NDArray[np.int64]:
    return (binding.astype(np.int64) << 16) | shard.astype(np.int64)
