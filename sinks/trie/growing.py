"""The layers of one view after the other, each made from the one before and what has changed."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from pyroaring import BitMap

from kae.sinks.trie.base import Active, Attached, BaseTrie
from kae.sinks.trie.layer import Layer
from kae.sinks.trie.layers import Layers
from kae.sinks.trie.shard_table import ShardTable
from kae.sinks.trie.stack import Stack
from kae.sinks.trie.trie import Entries, TrieView, own_paths, term_paths

# An overlay of as many entries costs some 10 ms a view, a base of a million items 0.3 s beside.
OVERLAY_ENTRIES = 8192
OVERLAY_SHARE = 32  # of a larger base, one in so many


@dataclass(frozen=True, slots=True)
class _Here:
    """The active bindings of a shard, beside a base.

    `late` are not in the base, `based` are, `gone` are there alone; `items` are those of `based`.
    """

    made_of: tuple[Mapping[int, BitMap], Active, BaseTrie]
    late: Mapping[int, BitMap]
    based: Mapping[int, BitMap]
    items: BitMap
    gone: frozenset[int]

    @staticmethod
    def of(shard: int, attached: Mapping[int, BitMap], active: Active, base: BaseTrie) -> "_Here":
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

    def __init__(
        self, shards: int, beside: Callable[[Callable[[], BaseTrie]], "Future[BaseTrie]"]
    ) -> None:
        self._beside = beside
        self._base = BaseTrie.build([ShardTable() for _ in range(shards)], [{}] * shards, {})
        self._layer = self._base.layer  # without what has changed, but for what is fresh
        self._changed = [BitMap() for _ in range(shards)]
        self._fresh = [BitMap() for _ in range(shards)]
        self._here: list[_Here | None] = [None] * shards
        self._building: Future[BaseTrie] | None = None
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

    def _stand_on(self, base: BaseTrie, changed: Sequence[BitMap]) -> None:
        """Take a new base, since which some items have changed."""
        self._base, self._layer, self._building = base, base.layer, None
        self._changed = [some.copy() for some in changed]
        self._fresh = [some.copy() for some in changed]

    def _stand_on_all(
        self, tables: Sequence[ShardTable], attached: Attached, active: Active
    ) -> None:
        self._stand_on(BaseTrie.build(tables, attached, active), [BitMap() for _ in tables])

    def _build_beside(
        self, tables: Sequence[ShardTable], attached: Attached, active: Active
    ) -> None:
        copies = [table.copy_paths() for table in tables]
        kept = tuple(attached)
        self._changed_since = [BitMap() for _ in tables]
        self._building = self._beside(lambda: BaseTrie.build(copies, kept, active))

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
        bindings = base.bindings_in(layer) | overlay.trie.bindings
        return Layers(base, Stack(layer, overlay).ready(), bindings)
