"""The two layers of a view's trie as a decode asks them: a base, and an overlay of what is new.

A prefix that the base has is looked up there alone: how its children differ by now was worked out
when the view was made. Only one that the base has not is looked up in the overlay.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.sinks.trie.layer import Below, Layer
from kae.sinks.trie.prefixes import Pairs, PrefixQuery
from kae.sinks.trie.ranges import Indices, is_among, once, places_in, places_of, ranges
from kae.sinks.trie.trie import Places

_END = np.iinfo(np.int32).max  # above every node


@dataclass(frozen=True, slots=True)
class Changed:
    """The children that nodes of one depth have gained or lost.

    Shapes: nodes (n + 1,), those of which a child has changed, rising, and an end; first (n + 1,);
    slots and allowed (m,). The children first[i]:first[i + 1] of node i have these slots, and are
    allowed now or not.
    """

    nodes: Places
    first: Places
    slots: NDArray[np.uint16]
    allowed: NDArray[np.bool_]

    @staticmethod
    def of(gained: Pairs, lost: Pairs) -> "Changed":
        """From pairs of a node and a slot, whose nodes rise."""
        nodes = np.concatenate([gained[0], lost[0]])
        slots = np.concatenate([gained[1], lost[1]])
        # Two runs that rise: merged, not sorted.
        order = np.argsort(nodes, kind="stable")
        changed, counts = once(nodes[order])
        return Changed(
            np.append(changed, _END).astype(np.int32),
            np.append(0, np.cumsum(counts)).astype(np.int32),
            slots[order],
            order < len(gained[0]),
        )

    def below(self, nodes: Indices) -> tuple[Indices, Places, Places]:
        """Where among `nodes` those are that have changed children, and the ranges of these.

        A node of -1 has none.
        """
        places = places_of(self.nodes, nodes)
        hit = np.flatnonzero(self.nodes.take(places) == nodes)
        places = places.take(hit)
        return hit, self.first.take(places), self.first.take(places + 1)


_NONE = np.zeros(0, np.int64)
_UNCHANGED = Changed.of((_NONE, _NONE.astype(np.uint16)), (_NONE, _NONE.astype(np.uint16)))


@dataclass(frozen=True)
class Stack:
    """A base and an overlay.

    `worked_out` is what has changed, where that is known already.
    """

    base: Layer
    overlay: Layer
    worked_out: tuple[Changed, ...] | None = None

    @cached_property
    def changed(self) -> tuple[Changed, ...]:
        """For each depth, how the children of the base's nodes differ from what is live in either
        layer. The first who asks waits: 5 ms where 8,000 entries have changed."""
        if self.worked_out is not None:
            return self.worked_out
        is_changed = len(self.overlay.trie.entries) or len(self.base.dead)
        if not len(self.base.trie.entries) or not is_changed:
            return (_UNCHANGED,) * POSITIONS
        return tuple(_changed(self.base, self.overlay))

    def ready(self) -> "Stack":
        """The same, with nobody left to wait for what has changed."""
        return Stack(self.base, self.overlay, self.changed)

    @property
    def layers(self) -> tuple[Layer, Layer]:
        return self.base, self.overlay

    def hiding(self, bindings: Collection[int]) -> "Stack":
        """The same without the paths by some bindings."""
        base, overlay = self.base.hiding(bindings), self.overlay.hiding(bindings)
        is_same = base is self.base and overlay is self.overlay
        return self if is_same else Stack(base, overlay)

    def width(self, depth: int) -> int:
        """The highest slot that a child of a prefix of this length has, and one."""
        return max(layer.trie.rows[depth].width for layer in self.layers)

    def allowed(self, asked: PrefixQuery, slots: int) -> NDArray[np.bool_]:
        """(prefixes, slots): the slots under which, after each prefix, a live item hangs."""
        below = self.base.below(asked)
        mask = self.base.shown(asked, below, slots)
        changed = self.changed[asked.depth]
        hit, first, end = changed.below(below.nodes)
        if len(hit):
            children, of = ranges(first, end)
            places = asked.places[hit[of]]
            mask[places, changed.slots.take(children)] = changed.allowed.take(children)
        unknown = self._unknown(below)
        if len(unknown):
            mask[asked.places[unknown]] = self.overlay.allowed(asked.chosen(unknown), slots)
        return mask

    def few_children(self, asked: PrefixQuery, most: int) -> Pairs | None:
        """What `allowed` says, as pairs of a prefix's place and a slot, in any order; None if more
        than `most` children would have to be looked at of the base, dead ones too, or of what has
        changed, or of the overlay."""
        below = self.base.below(asked)
        kept = self.base.few_children(asked, below, most)
        changed = self.changed[asked.depth]
        hit, first, end = changed.below(below.nodes)
        unknown = self._unknown(below)
        if kept is None or not (len(hit) or len(unknown)):
            return kept
        new = asked.chosen(unknown)
        added = self.overlay.few_children(new, self.overlay.below(new), most)
        if added is None or (end - first).sum() > most:
            return None
        children, of = ranges(first, end)
        gained = changed.allowed.take(children)
        places = [kept[0], asked.places[hit[of[gained]]], asked.places[unknown[added[0]]]]
        slots = [kept[1], changed.slots.take(children[gained]), added[1]]
        return np.concatenate(places), np.concatenate(slots)

    def _unknown(self, below: Below) -> Indices:
        """The numbers of prefixes that the base has not, where the overlay may have them."""
        return np.flatnonzero(below.nodes < 0) if len(self.overlay.trie.entries) else _NONE


def _changed(base: Layer, overlay: Layer) -> Iterator[Changed]:
    """Of each depth: the overlay is walked from its root down, beside what the base has of it."""
    nodes = np.zeros(1, np.int64)  # of each of the overlay's the base's: -1 where it has none
    for depth, gone in enumerate(base.gone):
        own_slots, links = base.trie.levels[depth].slot, base.trie.links(depth)
        parents = np.repeat(nodes, np.diff(overlay.trie.links(depth)))
        known = np.flatnonzero(parents >= 0)
        of, slots = parents[known], overlay.trie.levels[depth].slot[known]
        children, is_own = places_in(own_slots, links.take(of), links.take(of + 1), slots)
        is_live = ~is_among(known, overlay.gone[depth])
        gained = is_live & (is_among(children, gone) | ~is_own)
        lost = gone[~is_among(gone, children[is_live & is_own])]
        yield Changed.of(
            (of[gained], slots[gained]),
            (places_of(links, lost, "right") - 1, own_slots[lost]),
        )
        nodes = np.full(len(parents), -1)
        nodes[known[is_own]] = children[is_own]
