"""One decode: what a model may emit at each of the six positions, all from one version.

A decode keeps its view, so every prefix that it allowed leads to a complete identifier, also while
writers go on. What it calls live is live in that version; docs/decoding.md has an example.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS, Identifier, Slot
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.codebook.tokens import TokenLayout
from kae.sinks.log.edits import PutItem
from kae.sinks.trie import decoding
from kae.sinks.trie.decoding import EntryItems, PathItems, unpinned
from kae.sinks.trie.merged_trie import MergedTrie
from kae.sinks.trie.prefixes import ChildPairs, Prefixes
from kae.sinks.trie.sorted_arrays import Indices
from kae.streams.replica.view import Pinned, View
from kae.streams.replica_api.answers import Version

Scores = NDArray[np.floating[Any]]


class Constraint:
    """What may be decoded in one version, from its trie alone.

    Prefixes are (beams, depth) uint16, one slot for each position; complete paths have six.
    """

    def __init__(
        self,
        version: Version,
        trie: MergedTrie,
        capacities: Sequence[int],
        pinned: Sequence[Pinned] = (),
    ) -> None:
        """`version` is the version that all answers are true of; `capacities` are those of the
        codebook, by position and including reserved slots."""
        self.version = version
        self.capacities = tuple(capacities)
        self._trie = trie
        self._pinned = pinned

    def mask(self, prefixes: Prefixes) -> NDArray[np.bool_]:
        """(beams, capacity of the next position): the slots that lead to a live item.

        Raises: PrefixInvalid.
        """
        depth = min(prefixes.shape[-1], POSITIONS - 1)
        return decoding.mask(self._trie, prefixes, self.capacities[depth])

    def children(self, prefixes: Prefixes) -> ChildPairs:
        """The slots that the mask allows, in ascending order, each with the number of its prefix.

        Raises: PrefixInvalid.
        """
        return decoding.children(self._trie, prefixes)

    def few_children(self, prefixes: Prefixes) -> ChildPairs | None:
        """The same in any order; None where there are so many that a mask costs less.

        Raises: PrefixInvalid.
        """
        return decoding.few_children(self._trie, prefixes, decoding.FEW)

    def count(self, prefixes: Prefixes) -> Indices:
        """The live items below each prefix.

        Raises: PrefixInvalid.
        """
        return decoding.count(self._trie, prefixes)

    def behind(self, paths: Prefixes, limit: int) -> PathItems:
        """At most `limit` live items behind each path: the term's pins, then the most popular.

        Raises: PrefixInvalid.
        """
        return decoding.items(self._trie, paths, limit, self._pin_places)

    def paths_through(self, slot: Slot) -> Prefixes:
        """(paths, 6): the complete paths with a slot that lead to a live item, in order.

        It looks at every path of the index once.
        """
        entries = [part.trie.entries.slots for part in self._trie.parts]
        found = [slots[:, slots[slot.position] == slot.index].T for slots in entries]
        paths = np.ascontiguousarray(np.unique(np.concatenate(found), axis=0))
        return paths[self.count(paths) > 0]

    def constrain(self, layout: TokenLayout, tokens: NDArray[np.int64], scores: Scores) -> None:
        """Set to -inf, in place, the score of every token that may not come next.

        For engines other than transformers. `tokens` (beams, depth) are what each beam has
        emitted of its identifier, `scores` (beams, vocabulary) those of the next token. A beam
        whose prefix is not live keeps no token.
        Raises: PrefixInvalid when an identifier is complete already.
        """
        prefixes, valid = layout.slots(tokens)
        allowed = self.mask(prefixes) & valid[:, None]
        own = layout.tokens_of(tokens.shape[1])
        scores[:, : own.start] = -np.inf
        scores[:, own.stop :] = -np.inf
        np.copyto(scores[:, own.start : own.stop], -np.inf, where=~allowed)

    def _pin_places(self, entries: EntryItems) -> Indices:
        return _places_among(self._pinned, entries)


class Decode(Constraint):
    """What may be decoded in one view; make one for each decode, it costs nothing."""

    def __init__(self, view: View, codebook: Codebook) -> None:
        capacities = [group.capacity for group in codebook.groups]
        super().__init__(view.version, view.trie.merged, capacities)
        self._view = view

    def items(self, path: Identifier, limit: int) -> Iterator[PutItem]:
        """At most `limit` items behind one path, read from the stores of this version."""
        found = self.behind(np.array([path], np.uint16), limit)
        for shard, ordinal in zip(found.shards.tolist(), found.ordinals.tolist(), strict=True):
            yield self._view.shards[shard].item_at(ordinal)

    def _pin_places(self, entries: EntryItems) -> Indices:
        if not self._view.pins:
            return unpinned(entries)
        bindings = np.unique(entries.bindings).tolist()
        return _places_among(self._view.pinned_items(bindings), entries)


def _places_among(pinned: Sequence[Pinned], entries: EntryItems) -> Indices:
    """Each entry's place among the pins of the term that led to it, or UNPINNED."""
    places = unpinned(entries)
    for place, (binding, shard, ordinal) in enumerate(pinned):
        is_item = (entries.shards == shard) & (entries.ordinals == ordinal)
        places[is_item & (entries.bindings == binding)] = place
    return places
