"""The replica's index: a fold of every shard's log and of the bindings log, and views of it.

It is written by the follower's thread alone. Readers take `view`, one reference, and never wait.
"""

import shutil
from array import array
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from kae.sinks import keys
from kae.sinks.bindings import Bindings
from kae.sinks.edits import (
    Attach,
    BindSlot,
    Deactivate,
    Detach,
    Edit,
    ShardEdit,
    decode_edit,
)
from kae.sinks.fold import Folded, ForeignCodebook, LogState, fold
from kae.sinks.said import Said
from kae.sinks.sayings import Sayings
from kae.sinks.shard_table import ShardTable
from kae.sinks.store import ShardStore
from kae.sinks.store_reader import StoreReader
from kae.sinks.trie import TrieView
from kae.streams.bindings_follower import copied
from kae.streams.replica.answers import LogPosition
from kae.streams.replica.journal import Journal
from kae.streams.replica.view import View, slots_of, terms_of
from kae.streams.topology import Topology


class ReplicaIndex:
    """Stores, tables and bindings, and the view that is in use."""

    def __init__(self, topology: Topology, fingerprint: str, folder: Path) -> None:
        """Begin empty: stores that the folder held are removed.

        Raises: StoreUnusable.
        """
        self.journal = Journal()
        self.logs = [LogState() for _ in range(topology.shards)]
        self.bindings_log = LogState()
        self.deltas = 0
        self.ignored = 0
        self._generation = topology.generation
        self.fingerprint = fingerprint
        self._bindings = Bindings()
        self._tables = [ShardTable() for _ in range(topology.shards)]
        self._sayings = [Sayings() for _ in range(topology.shards)]
        self._offsets = [array("q") for _ in range(topology.shards)]  # of version 1, 2, ...
        self._stores: list[ShardStore] = []
        for shard in range(topology.shards):
            store_folder = keys.shard_folder(folder, topology.generation, shard)
            shutil.rmtree(store_folder, ignore_errors=True)
            self._stores.append(ShardStore(store_folder, topology.stores.write_buffer_bytes))
        self._readers = [StoreReader(store) for store in self._stores]
        self.view = self._build(0, 0)

    def close(self) -> None:
        """Close the stores; no view may be in use any more."""
        for store in self._stores:
            store.close()

    # Folding.

    def fold_shard(self, shard: int, offset: int, payload: bytes) -> list[ShardEdit]:
        """Fold one record of a shard's log; returns the edits that it made count.

        Raises: LogCorrupt, ForeignCodebook, StoreUnusable.
        """
        folded = self._folded(f"deltas/{shard}", self.logs[shard], offset, payload)
        self.logs[shard] = folded.state
        if folded.delta is None:
            return []
        plan = self._stores[shard].planned(folded.delta)
        self._stores[shard].apply(folded.delta, folded.state, plan)
        self._tables[shard].apply(plan.edits, folded.delta.version)
        self._sayings[shard].note(plan.edits)
        self._offsets[shard].append(offset)
        self.journal.note_shard(shard, folded.delta, offset, plan.edits)
        return plan.edits

    def fold_bindings(self, offset: int, payload: bytes) -> list[Edit]:
        """Fold one record of the bindings log; returns the edits that it made count.

        Raises: LogCorrupt, ForeignCodebook.
        """
        folded = self._folded("bindings", self.bindings_log, offset, payload)
        self.bindings_log = folded.state
        if folded.delta is None:
            return []
        bindings = copied(self._bindings)
        bindings.apply(folded.delta, folded.state)
        self._bindings = bindings
        edits = [decode_edit(raw) for raw in folded.delta.edits]
        self.journal.note_bindings(folded.delta, edits)
        return edits

    def _folded(self, name: str, state: LogState, offset: int, payload: bytes) -> Folded:
        folded = fold(state, offset, payload)
        found = folded.state.fingerprint
        if found and found != self.fingerprint:
            raise ForeignCodebook(
                f"{name}: begun with codebook {found}, this replica has {self.fingerprint}. "
                "Point codebook.path in topology.yaml at the first, or follow the generation of "
                "the second"
            )
        self.deltas += folded.delta is not None
        self.ignored += bool(folded.ignored)
        return folded

    # Views.

    def swap(self, at_ms: int) -> View:
        """Build a view of what is folded now and put it in use."""
        self.view = self._build(self.view.number + 1, at_ms)
        self.journal.note_view(self.view.trie.bindings, at_ms)
        return self.view

    def _build(self, number: int, at_ms: int) -> View:
        began = perf_counter()
        for shard, store in enumerate(self._stores):
            if self._readers[shard].state.version != store.state.version:
                self._readers[shard] = StoreReader(store)
        bindings = self._bindings
        trie = TrieView.build(
            self._tables, [reader.attached for reader in self._readers], slots_of(bindings)
        )
        return View(
            number=number,
            generation=self._generation,
            bindings=bindings,
            bindings_offset=self.bindings_log.offset,
            terms=terms_of(bindings),
            trie=trie,
            said=Said.build(trie, [sayings.capture() for sayings in self._sayings]),
            shards=tuple(self._readers),
            swapped_ms=at_ms,
            built_seconds=perf_counter() - began,
        )

    def put_at(self, shard: int, ordinal: int) -> LogPosition:
        """The delta that put an item."""
        version = int(self._tables[shard].versions[ordinal])
        return LogPosition(version, self._offsets[shard][version - 1])


Edits = Sequence[Edit] | Sequence[ShardEdit]


def changes_terms(edits: Edits) -> bool:
    """Whether edits change which terms lead where: a view of them should not wait."""
    return any(isinstance(edit, Attach | Detach | BindSlot | Deactivate) for edit in edits)
