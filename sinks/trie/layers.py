"""The trie of views that go on changing: a large one that stays, and a small one of what is new.

    base      everything at some moment; what has changed since is dead in it
    overlay   the paths of items that have changed, and of terms that were bound, since the base

A view's trie is both, neither of which changes any more, so readers need no lock, and a new view
costs what has changed, not what there is. Once the overlay has grown, a new base is built beside.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from kae.encoders.categories import Identifier
from kae.sinks.trie import decoding
from kae.sinks.trie.base import BaseTrie
from kae.sinks.trie.decoding import Behind, Entered
from kae.sinks.trie.layer import Layer
from kae.sinks.trie.prefixes import Prefixes, PrefixQuery
from kae.sinks.trie.ranges import Indices
from kae.sinks.trie.stack import Stack
from kae.sinks.trie.trie import Entries, TrieView


@dataclass(frozen=True, slots=True)
class Layers:
    """All paths of one view; `bindings` are those that have one."""

    whole: BaseTrie
    stack: Stack
    bindings: frozenset[int]

    @property
    def base(self) -> Layer:
        return self.stack.base

    @property
    def overlay(self) -> Layer:
        return self.stack.overlay

    def hiding(self, bindings: Collection[int]) -> "Layers":
        """The same without the paths by some bindings."""
        left = self.bindings.difference(bindings)
        return Layers(self.whole, self.stack.hiding(bindings), left)

    def showing(self, more: Sequence[Entries]) -> "Layers":
        """The same with the paths by one more binding; they are of a shard each."""
        entries = self.overlay.trie.entries
        live = self.overlay.is_live(np.arange(len(entries)))
        known = [
            entries.chosen(live & (entries.bindings == binding))
            for binding in np.unique(entries.bindings)
        ]
        trie = TrieView.of([*known, *more])
        stack = Stack(self.base, Layer.whole(trie))
        return Layers(self.whole, stack, self.bindings | trie.bindings)

    @property
    def paths(self) -> int:
        """The paths by which live items can be decoded, each once."""
        trie = self.overlay.trie
        added = trie.entries.slots[:, trie.levels[-1].first_child[:-1]].T
        again = int(np.count_nonzero(self.base.count(PrefixQuery.of(added))))
        return self.base.paths + self.overlay.paths - again

    @property
    def entries(self) -> int:
        """The pairs of a path and a live item behind it."""
        return sum(part.entries for part in self.stack.layers)

    def mask(self, prefixes: Prefixes, slots: int) -> NDArray[np.bool_]:
        """(prefixes, slots): exactly the slots under which, after each, a live item hangs."""
        return decoding.mask(self.stack, prefixes, slots)

    def children(self, prefixes: Prefixes) -> tuple[Indices, NDArray[np.uint16]]:
        """The slots that the mask allows, rising, and for each the number of its prefix."""
        return decoding.children(self.stack, prefixes)

    def count(self, prefixes: Prefixes) -> Indices:
        """The live items below each prefix."""
        return decoding.count(self.stack, prefixes)

    def items(
        self,
        paths: Prefixes,
        limit: int,
        pin_places: Callable[[Entered], Indices] = decoding.nowhere,
    ) -> Behind:
        """At most `limit` live items behind each path: pinned ones, then the more popular."""
        return decoding.items(self.stack, paths, limit, pin_places)

    def entries_of(self, binding: int, shard: int, ordinal: int) -> tuple[Indices, Indices]:
        """The live entry of one item by one binding, in either part: one is empty, or both are."""
        trie = self.overlay.trie
        of_base = self.whole.entries_of(shard, BitMap([ordinal])).astype(np.int64)
        of_overlay = np.flatnonzero(
            (trie.entries.ordinals == ordinal) & (trie.entries.shards == shard)
        )

        def by_binding(part: Layer, entries: Indices) -> Indices:
            found: Indices = entries[part.trie.entries.bindings[entries] == binding]
            live: Indices = found[part.is_live(found)]
            return live

        return by_binding(self.base, of_base), by_binding(self.overlay, of_overlay)

    def paths_of(self, shard: int, ordinal: int) -> list[tuple[int, Identifier]]:
        """The paths of one item, each with its binding (0: its own), by binding."""
        own = BitMap([ordinal])
        of_base = self.whole.entries_of(shard, own)
        trie = self.overlay.trie
        of_overlay = np.flatnonzero(
            (trie.entries.ordinals == ordinal) & (trie.entries.shards == shard)
        )
        return sorted(
            (int(part.trie.entries.bindings[entry]), part.trie.path_at(entry))
            for part, entries in ((self.base, of_base), (self.overlay, of_overlay))
            for entry in entries.tolist()
            if part.is_live(np.array([entry]))[0]
        )
