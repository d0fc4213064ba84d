"""The trie of views that go on changing: a large one that stays, and a small one of what is new.

    base      everything at some moment; what has changed since is dead in it
    overlay   the paths of items that have changed, and of terms that were bound, since the base

A view's trie is both, neither of which changes any more, so readers need no lock, and a new view
costs what has changed, not what there is. Once the overlay has grown, a new base is built beside.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from kae.encoders.categories import Identifier, Slot
from kae.sinks import decoding
from kae.sinks.decoding import Behind, Entered
from kae.sinks.layer import Layer
from kae.sinks.prefixes import Asked, Prefixes
from kae.sinks.ranges import Indices, once, ranges
from kae.sinks.shard_table import ShardTable
from kae.sinks.trie import Entries, Places, TrieView, own_paths, term_paths

# An overlay of as many entries costs some 3 ms a view, a base of a million items 0.1 s.
OVERLAY_ENTRIES = 8192
OVERLAY_SHARE = 16  # of a larger base, one in so many

Attached = Sequence[Mapping[int, BitMap]]  # of each shard, by binding
Active = Mapping[int, Slot]


@dataclass(frozen=True, slots=True)
class Base:
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
    def build(tables: Sequence[ShardTable], attached: Attached, active: Active) -> "Base":
        trie = TrieView.build(tables, attached, active)
        sizes = [len(table.live) for table in tables]
        numbers = np.cumsum([0, *sizes])
        items = numbers[trie.entries.shards] + trie.entries.ordinals.astype(np.int64)
        by_item, first = _by_number(items, int(numbers[-1]))
        added = trie.entries.bindings[np.concatenate(trie.bound)]
        bindings, counts = np.unique(added, return_counts=True)
        return Base(
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


@dataclass(frozen=True, slots=True)
class Layers:
    """All paths of one view; `bindings` are those that have one."""

    whole: Base
    base: Layer
    overlay: Layer
    bindings: frozenset[int]

    @property
    def parts(self) -> tuple[Layer, Layer]:
        return self.base, self.overlay

    def hiding(self, bindings: Collection[int]) -> "Layers":
        """The same without the paths by some bindings."""
        left = self.bindings.difference(bindings)
        return Layers(self.whole, self.base.hiding(bindings), self.overlay.hiding(bindings), left)

    def showing(self, more: Sequence[Entries]) -> "Layers":
        """The same with the paths by one more binding; they are of a shard each."""
        entries = self.overlay.trie.entries
        live = self.overlay.is_live(np.arange(len(entries)))
        known = [
            entries.chosen(live & (entries.bindings == binding))
            for binding in np.unique(entries.bindings)
        ]
        trie = TrieView.of([*known, *more])
        return Layers(self.whole, self.base, Layer.whole(trie), self.bindings | trie.bindings)

    @property
    def paths(self) -> int:
        """The paths by which live items can be decoded, each once."""
        trie = self.overlay.trie
        added = trie.entries.slots[:, trie.levels[-1].first_child[:-1]].T
        again = int(np.count_nonzero(self.base.count(Asked.of(added))))
        return self.base.paths + self.overlay.paths - again

    @property
    def entries(self) -> int:
        """The pairs of a path and a live item behind it."""
        return sum(part.entries for part in self.parts)

    def mask(self, prefixes: Prefixes, slots: int) -> NDArray[np.bool_]:
        """(prefixes, slots): exactly the slots under which, after each, a live item hangs."""
        return decoding.mask(self.parts, prefixes, slots)

    def children(self, prefixes: Prefixes) -> tuple[Indices, NDArray[np.uint16]]:
        """The slots that the mask allows, rising, and for each the number of its prefix."""
        return decoding.children(self.parts, prefixes)

    def count(self, prefixes: Prefixes) -> Indices:
        """The live items below each prefix."""
        return decoding.count(self.parts, prefixes)

    def items(
        self,
        paths: Prefixes,
        limit: int,
        pin_places: Callable[[Entered], Indices] = decoding.nowhere,
    ) -> Behind:
        """At most `limit` live items behind each path: pinned ones, then the more popular."""
        return decoding.items(self.parts, paths, limit, pin_places)

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


@dataclass(frozen=True, slots=True)
class _Here:
    """The active bindings of a shard, beside a base.

    `late` are not in the base, `based` are, `gone` are there alone; `items` are those of `based`.
    """

    made_of: tuple[Mapping[int, BitMap], Active, Base]
    late: Mapping[int, BitMap]
    based: Mapping[int, BitMap]
    items: BitMap
    gone: frozenset[int]

    @staticmethod
    def of(shard: int, attached: Mapping[int, BitMap], active: Active, base: Base) -> "_Here":
        bound = base.bound[shard]
        now = sorted(attached.keys() & active.keys())
        based = {binding: attached[binding] for binding in now if binding in bound}
        return _Here(
            (attached, active, base),
            {binding: attached[binding] for binding in now if binding not in bound},
            based,
            BitMap.union(BitMap(), *based.values()),
            bound - based.keys(),
        )

    def is_of(self, *parts: object) -> bool:
        """Whether it was made of these very objects, none of which ever changes."""
        return all(mine is theirs for mine, theirs in zip(self.made_of, parts, strict=True))

    def changed(self, items: BitMap) -> Mapping[int, BitMap]:
        """What the base has not: the late bindings, and of the others the items that changed."""
        hit = self.items & items
        if not hit:
            return self.late
        moved = {b: bound & hit for b, bound in self.based.items() if bound.intersect(hit)}
        return dict(sorted({**self.late, **moved}.items()))


class GrowingTrie:
    """Makes the layers of one view after the other; used by the thread that writes the tables.

    `beside` runs the building of a base elsewhere, and tells when it is done.
    """

    def __init__(self, shards: int, beside: Callable[[Callable[[], Base]], "Future[Base]"]) -> None:
        self._beside = beside
        self._base = Base.build([ShardTable() for _ in range(shards)], [{}] * shards, {})
        self._layer = self._base.layer  # without what has changed, but for what is fresh
        self._changed = [BitMap() for _ in range(shards)]
        self._fresh = [BitMap() for _ in range(shards)]
        self._here: list[_Here | None] = [None] * shards
        self._building: Future[Base] | None = None
        self._changed_since = [BitMap() for _ in range(shards)]  # that building began

    def note(self, shard: int, changed: BitMap) -> None:
        """Take notice of items whose paths may differ from now on."""
        self._changed[shard] |= changed
        self._fresh[shard] |= changed
        self._changed_since[shard] |= changed

    def layers(self, tables: Sequence[ShardTable], attached: Attached, active: Active) -> Layers:
        """What is live now.

        `attached`, what it holds, and `active` may not be changed afterwards. Where they are the
        same objects as for the view before, what follows from them is not made again.
        """
        if self._building is not None and self._building.done():
            self._stand_on(self._building.result(), self._changed_since)
        size = len(self._base.layer.trie.entries)
        most = max(OVERLAY_ENTRIES, size // OVERLAY_SHARE)
        changed = sum(map(len, self._changed))
        if changed > most and 2 * changed > size:  # as at the beginning
            self._stand_on_all(tables, attached, active)
        pieces = self._pieces(tables, attached, active)
        grown = sum(map(len, pieces))
        if grown > most and 2 * grown > size:
            self._stand_on_all(tables, attached, active)
            pieces = []
        elif grown > most and self._building is None:
            self._build_beside(tables, attached, active)
        return self._layered(pieces, self._all_here(attached, active))

    def _stand_on(self, base: Base, changed: Sequence[BitMap]) -> None:
        """Take a new base, since which some items have changed."""
        self._base, self._layer, self._building = base, base.layer, None
        self._changed = [some.copy() for some in changed]
        self._fresh = [some.copy() for some in changed]

    def _stand_on_all(
        self, tables: Sequence[ShardTable], attached: Attached, active: Active
    ) -> None:
        self._stand_on(Base.build(tables, attached, active), [BitMap() for _ in tables])

    def _build_beside(
        self, tables: Sequence[ShardTable], attached: Attached, active: Active
    ) -> None:
        copies = [table.copy_paths() for table in tables]
        kept = tuple(attached)
        self._changed_since = [BitMap() for _ in tables]
        self._building = self._beside(lambda: Base.build(copies, kept, active))

    def _pieces(
        self, tables: Sequence[ShardTable], attached: Attached, active: Active
    ) -> list[Entries]:
        """The entries of what has changed since the base, where there are any."""
        pieces: list[Entries] = []
        here = self._all_here(attached, active)
        for shard, (table, changed) in enumerate(zip(tables, self._changed, strict=True)):
            ordinals = np.asarray(changed.to_array()).astype(np.int64)
            pieces.append(own_paths(shard, table, ordinals[table.live[ordinals]]))
            members = here[shard].changed(changed)
            pieces.append(term_paths(shard, table, active, members))
        return [piece for piece in pieces if len(piece)]

    def _all_here(self, attached: Attached, active: Active) -> list[_Here]:
        """Of each shard, as it was for the view before where nothing of that has changed."""
        base = self._base
        found = [
            known
            if known is not None and known.is_of(members, active, base)
            else _Here.of(shard, members, active, base)
            for shard, (members, known) in enumerate(zip(attached, self._here, strict=True))
        ]
        self._here = [*found]
        return found

    def _layered(self, pieces: Sequence[Entries], here: Sequence[_Here]) -> Layers:
        base = self._base
        dead = [base.entries_of(shard, fresh) for shard, fresh in enumerate(self._fresh)]
        self._layer = self._layer.without(np.concatenate(dead))
        self._fresh = [BitMap() for _ in self._fresh]
        # A binding that is hidden now may be seen again: the items' layer stays as it is.
        layer = self._layer.without(base.entries_by([one.gone for one in here]))
        overlay = Layer.whole(TrieView.of(pieces))
        return Layers(base, layer, overlay, base.bindings_in(layer) | overlay.trie.bindings)


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
