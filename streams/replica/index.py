"""The replica's index: a fold of every shard's log and of the bindings log, and views of it.

It is written by the follower's thread alone. Readers take `view`, one reference, and never wait.
"""

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import structlog

from kae.sinks.log.edits import (
    Activate,
    Attach,
    BindSlot,
    Deactivate,
    Detach,
    Edit,
    ShardEdit,
    decode_edit,
)
from kae.sinks.log.fold import Folded, ForeignCodebook, LogState, fold
from kae.sinks.postings.inverted_index import InvertedIndex
from kae.sinks.postings.statistics import WordStatistics
from kae.sinks.store import keys
from kae.sinks.store.beginnings import SnapshotSource, no_snapshots
from kae.sinks.store.disk import bytes_in
from kae.sinks.store.reader import StoreReader
from kae.sinks.store.rocks import StoreUnusable
from kae.sinks.store.store import ShardStore
from kae.sinks.terms.bindings import Bindings
from kae.sinks.trie.growing import GrowingTrie
from kae.sinks.trie.shard_table import ShardTable
from kae.streams.replica.journal import Journal
from kae.streams.replica.view import View, Visible
from kae.streams.replica_api.answers import LogPosition
from kae.streams.runtime.folders import FullDisk
from kae.streams.topology.types import Topology

# From one taking up of words to the next.
HEAR_SECONDS = 0.25
# The version of what a snapshot brought: its deltas are not read.
UNKNOWN = -1
# Shards whose snapshots are fetched and opened at the same time.
BEGUN_AT_ONCE = 4
log = structlog.get_logger()


class ReplicaIndex:
    """Stores, tables and bindings, and the view that is in use."""

    def __init__(
        self,
        topology: Topology,
        fingerprint: str,
        folder: Path,
        snapshots: Callable[[int], SnapshotSource] = lambda _shard: no_snapshots,
    ) -> None:
        """Begin each shard with its newest snapshot that is fit, or empty.

        Stores that the folder held are removed.
        Raises: StoreUnusable, DiskFull.
        """
        self.folder = folder
        self.disk = FullDisk()
        self.journal = Journal()
        self.logs = [LogState() for _ in range(topology.shards)]
        self.bindings_log = LogState()
        self.deltas = 0
        self.ignored = 0
        self._oldest_delta_ms: int | None = None  # of those that no view has yet
        self._generation = topology.generation
        self.fingerprint = fingerprint
        self._bindings = Bindings()
        self._visible = Visible.of(self._bindings, 0, 0)
        self._bases = ThreadPoolExecutor(1, thread_name_prefix="base")
        self._words = ThreadPoolExecutor(1, thread_name_prefix="words")
        self._hearing: Future[None] | None = None
        self._hear_at = 0.0
        self._trie = GrowingTrie(topology.shards, self._bases.submit)

        def begin(shard: int) -> tuple[ShardStore, ShardTable]:
            store_folder = keys.shard_folder(folder, topology.generation, shard)
            shutil.rmtree(store_folder, ignore_errors=True)
            buffer = topology.stores.write_buffer_bytes
            return _begin(shard, store_folder, snapshots(shard), buffer)

        with ThreadPoolExecutor(BEGUN_AT_ONCE, thread_name_prefix="begin") as beginning:
            begun = list(beginning.map(begin, range(topology.shards)))
        self._stores = [store for store, _ in begun]
        self._tables = [table for _, table in begun]
        self._sayings = [
            InvertedIndex(store, table)
            for store, table in zip(self._stores, self._tables, strict=True)
        ]
        for shard in range(topology.shards):
            self._adopt(shard)
        # What a search counts takes longer than all else, and is read beside: see `listen`.
        self.hears = not any(sayings.waiting for sayings in self._sayings)
        self._said = self._given_out()
        self._readers = [StoreReader(store) for store in self._stores]
        self.view = self._build(0, 0)

    def close(self) -> None:
        """Close the stores; no view may be in use any more."""
        self.retire()
        for store in self._stores:
            store.close()

    def retire(self) -> None:
        """Fold no more; the stores stay open for the views that may be in use."""
        self._bases.shutdown()
        self._words.shutdown()

    def _adopt(self, shard: int) -> None:
        """Take into the view what a shard's store holds already."""
        store = self._stores[shard]
        self.logs[shard] = store.state.log_state()
        ordinals = self._tables[shard].ordinals
        self._trie.note(shard, ordinals)
        self._sayings[shard].note_all(ordinals)
        state = store.state
        self.journal.note_snapshot(shard, store.bindings, state.version, state.offset)

    # Folding.

    def fold_shard(self, shard: int, offset: int, payload: bytes) -> Sequence[ShardEdit]:
        """Fold one record of a shard's log; returns the edits that it made count.

        Raises: LogCorrupt, ForeignCodebook, StoreUnusable; DiskFull, and the record is to be
        folded again.
        """
        folded = self._folded(f"deltas/{shard}", self.logs[shard], offset, payload)
        if folded.delta is None:
            self._take(folded)
            self.logs[shard] = folded.state
            return []
        edits, moved = self._stores[shard].apply(folded.delta, folded.state)
        self._take(folded)
        self.logs[shard] = folded.state
        changed = self._tables[shard].apply(edits, folded.delta.version, offset)
        self._trie.note(shard, changed | moved)
        self._sayings[shard].note(edits)
        self.journal.note_shard(shard, folded.delta, offset, edits)
        return edits

    def fold_bindings(self, offset: int, payload: bytes) -> list[Edit]:
        """Fold one record of the bindings log; returns the edits that it made count.

        Raises: LogCorrupt, ForeignCodebook.
        """
        folded = self._folded("bindings", self.bindings_log, offset, payload)
        self._take(folded)
        self.bindings_log = folded.state
        if folded.delta is None:
            return []
        bindings = self._bindings.copy()
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
        return folded

    def _take(self, folded: Folded) -> None:
        """Count a record that is folded."""
        if folded.delta is not None:
            self.deltas += 1
            at_ms = folded.delta.at_ms
            self._oldest_delta_ms = min(at_ms, self._oldest_delta_ms or at_ms)
        self.ignored += bool(folded.ignored)

    # Views.

    def swap(self, at_ms: int) -> View:
        """Build a view of what is folded now and put it in use."""
        self.view = self._build(self.view.number + 1, at_ms)
        self._oldest_delta_ms = None
        self.journal.note_view(self.view.trie.bindings, at_ms)
        self.journal.forget(self._bindings)
        return self.view

    def _build(self, number: int, at_ms: int) -> View:
        began = perf_counter()
        for shard, store in enumerate(self._stores):
            if self._readers[shard].state.version != store.state.version:
                self._readers[shard] = StoreReader(store)
        bindings = self._bindings
        reached = min(reader.state.source.bindings_version for reader in self._readers)
        if not self._visible.holds_at(bindings, reached, at_ms):
            self._visible = Visible.of(bindings, reached, at_ms)
        visible = self._visible
        attached = [reader.attached for reader in self._readers]
        trie = self._trie.layers(self._tables, attached, visible.slots)
        return View(
            number=number,
            generation=self._generation,
            bindings=bindings,
            bindings_offset=self.bindings_log.offset,
            visible=visible.bound,
            turns_ms=visible.turns_ms,
            terms=visible.terms,
            trie=trie,
            said=self._said,
            unheard=tuple(sayings.unheard for sayings in self._sayings),
            shards=tuple(self._readers),
            swapped_ms=at_ms,
            built_seconds=perf_counter() - began,
            oldest_delta_ms=self._oldest_delta_ms,
            pins=visible.pins,
        )

    @property
    def table_bytes(self) -> int:
        """The memory of what is known of items by ordinal."""
        return sum(table.bytes for table in self._tables)

    # Words.

    def listen(self, now: float) -> bool:
        """Have the words of what has changed captured beside; whether the view has older ones.

        Not all the time: a shard costs half a millisecond, whatever has changed in it. `now` is in
        seconds.
        """
        if self._hearing is not None and self._hearing.done():
            self._hearing.result()
            self._hearing = None
            self._said = self._given_out()
            self.hears = True
        if self._hearing is None and now >= self._hear_at:
            calls = [sayings.hear() for sayings in self._sayings if sayings.waiting]
            if calls:
                self._hear_at = now + HEAR_SECONDS
                self._hearing = self._words.submit(_call_all, calls)
        return self.view.said is not self._said

    def _given_out(self) -> WordStatistics:
        return WordStatistics(sayings.give_out() for sayings in self._sayings)

    @property
    def is_listening(self) -> bool:
        """Whether words of items are older than their paths in the view that is in use."""
        return self._hearing is not None or any(sayings.waiting for sayings in self._sayings)

    def store_bytes(self, shard: int) -> int:
        """What a shard's store takes on the disk."""
        return bytes_in(self._stores[shard].folder)

    def put_at(self, shard: int, ordinal: int) -> LogPosition | None:
        """The delta that put an item; None if the shard's snapshot had it."""
        table = self._tables[shard]
        if table.versions[ordinal] == UNKNOWN:
            return None
        return LogPosition(int(table.versions[ordinal]), int(table.offsets[ordinal]))


def _call_all(calls: Sequence[Callable[[], None]]) -> None:
    for call in calls:
        call()


def _begin(
    shard: int, folder: Path, snapshots: SnapshotSource, buffer: int
) -> tuple[ShardStore, ShardTable]:
    """The store of the newest snapshot that is fit, or an empty one, and what the trie needs."""

    def pass_over(reason: str) -> None:
        log.warning("snapshot_passed_over", shard=shard, cause=reason)

    for snapshot in snapshots(folder, pass_over):
        try:
            begun = _opened(folder, buffer)
        except StoreUnusable as error:
            pass_over(f"{snapshot}: {error}")
            shutil.rmtree(folder)
            continue
        log.info("snapshot_begun_with", shard=shard, snapshot=snapshot)
        return begun
    return _opened(folder, buffer)


def _opened(folder: Path, buffer: int) -> tuple[ShardStore, ShardTable]:
    store, table = ShardStore(folder, buffer), ShardTable()
    try:
        table.make_room(store.next_ordinal)
        for paths in store.paths():
            table.adopt(paths, UNKNOWN, UNKNOWN)
    except BaseException:
        store.close()
        raise
    return store, table


Edits = Sequence[Edit] | Sequence[ShardEdit]


def changes_terms(edits: Edits) -> bool:
    """Whether edits change which terms lead where: a view of them should not wait."""
    return any(
        isinstance(edit, Attach | Detach | BindSlot | Activate | Deactivate) for edit in edits
    )
