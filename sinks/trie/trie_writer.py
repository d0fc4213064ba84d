"""Makes one view's trie after the other, each from the one before and what has changed."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from pyroaring import BitMap

from kae.sinks.trie.base_trie import Active, Attached, BaseTrie
from kae.sinks.trie.live_trie import LiveTrie
from kae.sinks.trie.merged_trie import MergedTrie, ViewTrie
from kae.sinks.trie.shard_table import ShardTable
from kae.sinks.trie.trie import Entries, Trie, own_paths, term_paths

# So many overlay entries cost 10 ms a view, a base of a million items 0.3 s of another thread.
OVERLAY_ENTRIES = 8192
# Above a larger base the overlay may have one entry for so many of the base's.
OVERLAY_SHARE = 32


@dataclass(frozen=True, slots=True)
class _ShardBindings:
    """The active bindings of a shard, compared with those of a base.

    `added` are not in the base, `kept` are in both, `removed` are in the base alone. `items` are
    the items of `kept`.
    """

    sources: tuple[Mapping[int, BitMap], Active, BaseTrie]
    added: Mapping[int, BitMap]
    kept: Mapping[int, BitMap]
    items: BitMap
    removed: frozenset[int]

    @staticmethod
    def of(
        shard: int, attached: Mapping[int, BitMap], active: Active, base: BaseTrie
    ) -> "_ShardBindings":
        in_base = base.bindings_of_shard[shard]
        now = sorted(attached.keys() & active.keys())
        kept = {binding: attached[binding] for binding in now if binding in in_base}
        return _ShardBindings(
            (attached, active, base),
            {binding: attached[binding] for binding in now if binding not in in_base},
            kept,
            BitMap.union(BitMap(), *kept.values()),
            in_base - kept.keys(),
        )

    def is_from(self, *sources: object) -> bool:
        """Whether it was made from these very objects, which never change."""
        return all(mine is theirs for mine, theirs in zip(self.sources, sources, strict=True))

    def in_overlay(self, changed: BitMap) -> Mapping[int, BitMap]:
        """What the overlay needs: the added bindings, and changed items of the kept ones."""
        hit = self.items & changed
        if not hit:
            return self.added
        moved = {b: bound & hit for b, bound in self.kept.items() if bound.intersect(hit)}
        return dict(sorted({**self.added, **moved}.items()))


class TrieWriter:
    """Collects changes and makes the tries of views; used by the thread that writes the tables.

    `submit` runs the building of a base on another thread.
    """

    def __init__(
        self, shards: int, submit: Callable[[Callable[[], BaseTrie]], "Future[BaseTrie]"]
    ) -> None:
        self._submit = submit
        self._base = BaseTrie.build([ShardTable() for _ in range(shards)], [{}] * shards, {})
        self._live_base = self._base.all_live  # without the items changed up to the last refresh
        self._changed = [BitMap() for _ in range(shards)]  # since the base
        self._pending = [BitMap() for _ in range(shards)]  # since the last refresh
        self._bindings: list[_ShardBindings | None] = [None] * shards
        self._compaction: Future[BaseTrie] | None = None
        self._changed_since_compaction = [BitMap() for _ in range(shards)]

    def note(self, shard: int, changed: BitMap) -> None:
        """Mark items whose paths may differ from now on."""
        self._changed[shard] |= changed
        self._pending[shard] |= changed
        self._changed_since_compaction[shard] |= changed

    def refresh(self, tables: Sequence[ShardTable], attached: Attached, active: Active) -> ViewTrie:
        """The trie of what is live now.

        `attached`, its bitmaps and `active` must not change afterwards. Where they are the same
        objects as at the last refresh, what follows from them is kept.
        """
        if self._compaction is not None and self._compaction.done():
            self._replace_base(self._compaction.result(), self._changed_since_compaction)
        base_size = len(self._base.all_live.trie.entries)
        most = max(OVERLAY_ENTRIES, base_size // OVERLAY_SHARE)
        changed = sum(map(len, self._changed))
        if changed > most and 2 * changed > base_size:  # as at the beginning
            self._compact_now(tables, attached, active)
        overlay = self._overlay_entries(tables, attached, active)
        overlay_size = sum(map(len, overlay))
        if overlay_size > most and 2 * overlay_size > base_size:
            self._compact_now(tables, attached, active)
            overlay = []
        elif overlay_size > most and self._compaction is None:
            self._start_compaction(tables, attached, active)
        return self._merge(overlay, self._compare_bindings(attached, active))

    def _replace_base(self, base: BaseTrie, changed: Sequence[BitMap]) -> None:
        """Take a new base; `changed` are the items that differ from it already."""
        self._base, self._live_base, self._compaction = base, base.all_live, None
        self._changed = [some.copy() for some in changed]
        self._pending = [some.copy() for some in changed]

    def _compact_now(
        self, tables: Sequence[ShardTable], attached: Attached, active: Active
    ) -> None:
        base = BaseTrie.build(tables, attached, active)
        self._replace_base(base, [BitMap() for _ in tables])

    def _start_compaction(
        self, tables: Sequence[ShardTable], attached: Attached, active: Active
    ) -> None:
        copies = [table.copy_paths() for table in tables]
        attached = tuple(attached)
        self._changed_since_compaction = [BitMap() for _ in tables]
        self._compaction = self._submit(lambda: BaseTrie.build(copies, attached, active))

    def _overlay_entries(
        self, tables: Sequence[ShardTable], attached: Attached, active: Active
    ) -> list[Entries]:
        """The entries of what has changed since the base, in pieces that are not empty."""
        pieces: list[Entries] = []
        bindings = self._compare_bindings(attached, active)
        for shard, (table, changed) in enumerate(zip(tables, self._changed, strict=True)):
            ordinals = np.asarray(changed.to_array()).astype(np.int64)
            pieces.append(own_paths(shard, table, ordinals[table.live[ordinals]]))
            members = bindings[shard].in_overlay(changed)
            pieces.append(term_paths(shard, table, active, members))
        return [piece for piece in pieces if len(piece)]

    def _compare_bindings(self, attached: Attached, active: Active) -> list[_ShardBindings]:
        """The bindings of each shard; the ones of the last refresh where nothing has changed."""
        base = self._base
        found = [
            known
            if known is not None and known.is_from(members, active, base)
            else _ShardBindings.of(shard, members, active, base)
            for shard, (members, known) in enumerate(zip(attached, self._bindings, strict=True))
        ]
        self._bindings = [*found]
        return found

    def _merge(self, overlay: Sequence[Entries], bindings: Sequence[_ShardBindings]) -> ViewTrie:
        base = self._base
        dead = [base.entries_of(shard, changed) for shard, changed in enumerate(self._pending)]
        self._live_base = self._live_base.without(np.concatenate(dead))
        self._pending = [BitMap() for _ in self._pending]
        # Not kept for the next view: a binding that is hidden now may become visible again.
        removed = base.entries_of_bindings([one.removed for one in bindings])
        live = self._live_base.without(removed)
        merged = MergedTrie(live, LiveTrie.all_live(Trie.of(overlay))).with_changes()
        live_bindings = base.live_bindings(live) | merged.overlay.trie.bindings
        return ViewTrie(base, merged, live_bindings)
