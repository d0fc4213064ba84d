"""The two layers of a view's trie as a decode asks them: a base, and an overlay of what is new.

A prefix that the base has is looked up there alone: how its children differ by now was worked out
when the view was made. Only one that the base has not is looked up in the overlay.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.sinks.layer import Below, Layer
from kae.sinks.prefixes import Asked
from kae.sinks.ranges import Indices, is_among, once, places_in, places_of, ranges
from kae.sinks.trie import Places

Pairs = tuple[Indices, NDArray[np.uint16]]

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

    def below(self, nodes: Indices) -> tuple[Indices, NDArray[np.uint16], NDArray[np.bool_]]:
        """The changed children of all these nodes: of each the place of its node among them, its
        slot, and whether it is allowed. A node of -1 has none."""
        places = places_of(self.nodes, nodes)
        hit = np.flatnonzero(self.nodes.take(places) == nodes)
        places = places.take(hit)
        children, of = ranges(self.first.take(places), self.first.take(places + 1))
        return hit.take(of), self.slots.take(children), self.allowed.take(children)


_NONE = np.zeros(0, np.int64)
_UNCHANGED = Changed.of(*[(_NONE, np.zeros(0, np.uint16))] * 2)


@dataclass(frozen=True, slots=True)
class Stack:
    """A base and an overlay; `changed` are, of each depth, the base's nodes whose children differ
    from those that a live item of either hangs under."""

    base: Layer
    overlay: Layer
    changed: tuple[Changed, ...]

    @staticmethod
    def of(base: Layer, overlay: Layer) -> "Stack":
        is_changed = len(overlay.trie.entries) or len(base.dead)
        if not len(base.trie.entries) or not is_changed:
            return Stack(base, overlay, (_UNCHANGED,) * POSITIONS)
        return Stack(base, overlay, tuple(_changed(base, overlay)))

    @property
    def layers(self) -> tuple[Layer, Layer]:
        return self.base, self.overlay

    def hiding(self, bindings: Collection[int]) -> "Stack":
        """The same without the paths by some bindings."""
        return Stack.of(self.base.hiding(bindings), self.overlay.hiding(bindings))

    def width(self, depth: int) -> int:
        """The highest slot that a child of a prefix of this length has, and one."""
        return max(layer.trie.rows[depth].width for layer in self.layers)

    def allowed(self, asked: Asked, slots: int) -> NDArray[np.bool_]:
        """(prefixes, slots): the slots under which, after each prefix, a live item hangs."""
        below = self.base.below(asked)
        mask = self.base.shown(asked, below, slots)
        changed = self.changed[asked.depth]
        if len(changed.slots):
            of, changed_slots, allowed = changed.below(below.nodes)
            mask[asked.places[of], changed_slots] = allowed
        new = self._unknown(below)
        if len(new):
            mask[asked.places[new]] = self.overlay.allowed(asked.chosen(new), slots)
        return mask

    def few_children(self, asked: Asked, most: int) -> Pairs | None:
        """What `allowed` says, as pairs of a prefix's place and a slot, in any order; None if more
        than `most` children of a layer, the dead ones too, would have to be looked at."""
        below = self.base.below(asked)
        kept = self.base.few_children(asked, below, most)
        if kept is None:
            return None
        found = [kept]
        changed = self.changed[asked.depth]
        if len(changed.slots):
            of, slots, gained = changed.below(below.nodes)
            found.append((asked.places[of[gained]], slots[gained]))
        new = self._unknown(below)
        if len(new):
            unknown = asked.chosen(new)
            added = self.overlay.few_children(unknown, self.overlay.below(unknown), most)
            if added is None:
                return None
            found.append((asked.places[new[added[0]]], added[1]))
        return np.concatenate([p for p, _ in found]), np.concatenate([s for _, s in found])

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
        is_dead = np.zeros(len(own_slots), np.bool_)
        is_dead[gone] = True
        gained = is_live & (is_dead.take(children) | ~is_own)
        is_dead[children[is_live & is_own]] = False
        lost = gone[is_dead.take(gone)]
        yield Changed.of(
            (of[gained], slots[gained]),
            (places_of(links, lost, "right") - 1, own_slots[lost]),
        )
        nodes = np.full(len(parents), -1)
        nodes[known[is_own]] = children[is_own]
