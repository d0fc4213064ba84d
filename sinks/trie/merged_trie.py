"""A base and an overlay as one trie.

A prefix that the base has is looked up in the base alone: how its children differ by now was worked
out when the view was made. Only a prefix that the base lacks is looked up in the overlay.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from kae.encoders.categories import POSITIONS, Identifier
from kae.sinks.trie.base_trie import BaseTrie
from kae.sinks.trie.live_trie import ChildRanges, LiveTrie
from kae.sinks.trie.prefixes import ChildPairs, PrefixQuery
from kae.sinks.trie.sorted_arrays import (
    Indices,
    expand_ranges,
    is_in_sorted,
    search_ranges,
    search_sorted,
    unique_counts,
)
from kae.sinks.trie.trie import Entries, Trie, TrieIndices

_END = np.iinfo(np.int32).max  # above every node


@dataclass(frozen=True, slots=True)
class ChildChanges:
    """The children that nodes of one depth have gained or lost.

    Shapes: nodes (n + 1,), those with changed children, rising, and an end; first (n + 1,); slots
    and is_live (m,). The changed children of node i are first[i]:first[i + 1].
    """

    nodes: TrieIndices
    first: TrieIndices
    slots: NDArray[np.uint16]
    is_live: NDArray[np.bool_]

    @staticmethod
    def of(gained: ChildPairs, lost: ChildPairs) -> "ChildChanges":
        """From pairs of a node and a slot, by node."""
        nodes = np.concatenate([gained[0], lost[0]])
        slots = np.concatenate([gained[1], lost[1]])
        # A stable sort merges the two sorted runs.
        order = np.argsort(nodes, kind="stable")
        changed, counts = unique_counts(nodes[order])
        return ChildChanges(
            np.append(changed, _END).astype(np.int32),
            np.append(0, np.cumsum(counts)).astype(np.int32),
            slots[order],
            order < len(gained[0]),
        )

    def below(self, nodes: Indices) -> tuple[Indices, TrieIndices, TrieIndices]:
        """The places of those nodes that have changed children, and the range of each one's.

        A node of -1 has none.
        """
        places = search_sorted(self.nodes, nodes)
        hit = np.flatnonzero(self.nodes.take(places) == nodes)
        places = places.take(hit)
        return hit, self.first.take(places), self.first.take(places + 1)


_NONE = np.zeros(0, np.int64)
_UNCHANGED = ChildChanges.of((_NONE, _NONE.astype(np.uint16)), (_NONE, _NONE.astype(np.uint16)))


@dataclass(frozen=True)
class MergedTrie:
    """All live paths of a base and an overlay; `known_changes` are `changes`, if already known."""

    base: LiveTrie
    overlay: LiveTrie
    known_changes: tuple[ChildChanges, ...] | None = None

    @cached_property
    def changes(self) -> tuple[ChildChanges, ...]:
        """For each depth, how the children of the base's nodes differ from what is live in either.

        Worked out on first use: 5 ms where 8,000 entries have changed.
        """
        if self.known_changes is not None:
            return self.known_changes
        is_changed = len(self.overlay.trie.entries) or len(self.base.dead_entries)
        if not len(self.base.trie.entries) or not is_changed:
            return (_UNCHANGED,) * POSITIONS
        return tuple(_changes(self.base, self.overlay))

    def with_changes(self) -> "MergedTrie":
        """The same with its changes worked out, so that no reader waits for them."""
        return MergedTrie(self.base, self.overlay, self.changes)

    @property
    def parts(self) -> tuple[LiveTrie, LiveTrie]:
        """Base and overlay."""
        return self.base, self.overlay

    def without_bindings(self, bindings: Collection[int]) -> "MergedTrie":
        """The same without the paths of some bindings."""
        base = self.base.without_bindings(bindings)
        overlay = self.overlay.without_bindings(bindings)
        is_same = base is self.base and overlay is self.overlay
        return self if is_same else MergedTrie(base, overlay)

    def width(self, depth: int) -> int:
        """The highest slot of a child of a prefix of this length, plus one."""
        return max(part.trie.child_bitmaps[depth].width for part in self.parts)

    def live_child_mask(self, query: PrefixQuery, slots: int) -> NDArray[np.bool_]:
        """(prefixes, slots): the slots after each prefix under which there is a live item."""
        found = self.base.child_ranges(query)
        mask = self.base.child_mask(query, found, slots)
        changes = self.changes[query.depth]
        hit, first, end = changes.below(found.nodes)
        if len(hit):
            children, of = expand_ranges(first, end)
            rows = query.rows[hit[of]]
            mask[rows, changes.slots.take(children)] = changes.is_live.take(children)
        missing = self._missing(found)
        if len(missing):
            rows = query.rows[missing]
            mask[rows] = self.overlay.live_child_mask(query.take(missing), slots)
        return mask

    def few_children(self, query: PrefixQuery, most: int) -> ChildPairs | None:
        """What `live_child_mask` says, as pairs of a prefix's row and a slot, in any order.

        None if the base's children, dead ones included, the changes or the overlay's children are
        more than `most`.
        """
        found = self.base.child_ranges(query)
        kept = self.base.few_children(query, found, most)
        changes = self.changes[query.depth]
        hit, first, end = changes.below(found.nodes)
        missing = self._missing(found)
        if kept is None or not (len(hit) or len(missing)):
            return kept
        rest = query.take(missing)
        added = self.overlay.few_children(rest, self.overlay.child_ranges(rest), most)
        if added is None or (end - first).sum() > most:
            return None
        children, of = expand_ranges(first, end)
        gained = changes.is_live.take(children)
        rows = [kept[0], query.rows[hit[of[gained]]], query.rows[missing[added[0]]]]
        slots = [kept[1], changes.slots.take(children[gained]), added[1]]
        return np.concatenate(rows), np.concatenate(slots)

    def _missing(self, found: ChildRanges) -> Indices:
        """The places of the prefixes that the base lacks and the overlay may have."""
        return np.flatnonzero(found.nodes < 0) if len(self.overlay.trie.entries) else _NONE


def _changes(base: LiveTrie, overlay: LiveTrie) -> Iterator[ChildChanges]:
    """The changes of each depth; walks the overlay from its root down, along with the base."""
    nodes = np.zeros(1, np.int64)  # the base's node of each of the overlay's; -1 where it has none
    for depth, dead in enumerate(base.dead_nodes):
        base_slots, starts = base.trie.levels[depth].slot, base.trie.child_starts(depth)
        parents = np.repeat(nodes, np.diff(overlay.trie.child_starts(depth)))
        known = np.flatnonzero(parents >= 0)
        of, slots = parents[known], overlay.trie.levels[depth].slot[known]
        children, in_base = search_ranges(base_slots, starts.take(of), starts.take(of + 1), slots)
        is_live = ~is_in_sorted(known, overlay.dead_nodes[depth])
        gained = is_live & (is_in_sorted(children, dead) | ~in_base)
        lost = dead[~is_in_sorted(dead, children[is_live & in_base])]
        yield ChildChanges.of(
            (of[gained], slots[gained]),
            (search_sorted(starts, lost, "right") - 1, base_slots[lost]),
        )
        nodes = np.full(len(parents), -1)
        nodes[known[in_base]] = children[in_base]


@dataclass(frozen=True, slots=True)
class ViewTrie:
    """The merged trie of one view, and the paths of single items; `bindings` have a live path."""

    base_trie: BaseTrie
    merged: MergedTrie
    bindings: frozenset[int]

    @property
    def base(self) -> LiveTrie:
        return self.merged.base

    @property
    def overlay(self) -> LiveTrie:
        return self.merged.overlay

    def without_bindings(self, bindings: Collection[int]) -> "ViewTrie":
        """The same without the paths of some bindings."""
        left = self.bindings.difference(bindings)
        return ViewTrie(self.base_trie, self.merged.without_bindings(bindings), left)

    def with_binding(self, added: Sequence[Entries]) -> "ViewTrie":
        """The same with the paths of one more binding, given by shard."""
        entries = self.overlay.trie.entries
        live = self.overlay.is_live(np.arange(len(entries)))
        known = [
            entries.where(live & (entries.bindings == binding))
            for binding in np.unique(entries.bindings)
        ]
        trie = Trie.of([*known, *added])
        merged = MergedTrie(self.base, LiveTrie.all_live(trie))
        return ViewTrie(self.base_trie, merged, self.bindings | trie.bindings)

    @property
    def path_count(self) -> int:
        """The number of paths by which live items can be decoded, each counted once."""
        trie = self.overlay.trie
        added = trie.entries.slots[:, trie.levels[-1].first_child[:-1]].T
        in_both = int(np.count_nonzero(self.base.count(PrefixQuery.of(added))))
        return self.base.path_count + self.overlay.path_count - in_both

    @property
    def entry_count(self) -> int:
        """The number of pairs of a path and a live item that has it."""
        return sum(part.entry_count for part in self.merged.parts)

    def entries_of(self, binding: int, shard: int, ordinal: int) -> tuple[Indices, Indices]:
        """The live entry of one item by one binding, in base and overlay: at least one is empty."""

        def by_binding(part: LiveTrie, entries: Indices) -> Indices:
            found: Indices = entries[part.trie.entries.bindings[entries] == binding]
            live: Indices = found[part.is_live(found)]
            return live

        in_base, in_overlay = self._entries_of_item(shard, ordinal)
        return by_binding(self.base, in_base), by_binding(self.overlay, in_overlay)

    def paths_of(self, shard: int, ordinal: int) -> list[tuple[int, Identifier]]:
        """The paths of one item, each with its binding (0: the item's own path), by binding."""
        return sorted(
            (int(part.trie.entries.bindings[entry]), part.trie.path_at(entry))
            for part, entries in zip(
                self.merged.parts, self._entries_of_item(shard, ordinal), strict=True
            )
            for entry in entries[part.is_live(entries)].tolist()
        )

    def _entries_of_item(self, shard: int, ordinal: int) -> tuple[Indices, Indices]:
        """The entries of one item in base and overlay, dead ones included."""
        overlay = self.overlay.trie.entries
        in_base = self.base_trie.entries_of(shard, BitMap([ordinal])).astype(np.int64)
        return in_base, np.flatnonzero((overlay.ordinals == ordinal) & (overlay.shards == shard))
