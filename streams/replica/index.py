"""The replica's index: a fold of every shard's log and of the bindings log, and views of it.

The follower's thread alone writes it: it folds a record, applies it to the shard's store, and swaps
in a view. Readers take `view`, one reference, and never wait.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import structlog

from kae.sinks.log.edits import Edit, ShardEdit, decode_edit
from kae.sinks.log.fold import Folded, ForeignCodebook, LogState, fold
from kae.sinks.postings.search_index import SearchIndex
from kae.sinks.postings.statistics import WordStatistics
from kae.sinks.store import keys
from kae.sinks.store.disk import folder_bytes
from kae.sinks.store.reader import StoreReader
from kae.sinks.store.recovery import SnapshotSource, discard, no_snapshots
from kae.sinks.store.rocks import StoreUnusable
from kae.sinks.store.store import ShardStore
from kae.sinks.terms.bindings import Bindings
from kae.sinks.trie.shard_table import ShardTable
from kae.sinks.trie.trie_writer import TrieWriter
from kae.streams.replica.term_progress import TermProgress
from kae.streams.replica.view import View, Visible
from kae.streams.replica_api.answers import LogPosition
from kae.streams.runtime.folders import FullDisk
from kae.streams.topology.types import Topology

# Between two refreshes of the postings.
REFRESH_SECONDS = 0.25
# The version of items that came with a snapshot: their deltas are not read.
UNKNOWN = -1
# Shards whose snapshots are fetched and opened at the same time.
OPENED_AT_ONCE = 4
Edits = Sequence[Edit] | Sequence[ShardEdit]
log = structlog.get_logger()


class ReplicaIndex:
    """Stores, tables, postings and bindings, and the view that is in use."""

    def __init__(
        self,
        topology: Topology,
        fingerprint: str,
        folder: Path,
        snapshots: Callable[[int], SnapshotSource] = lambda _shard: no_snapshots,
    ) -> None:
        """Start each shard from its newest usable snapshot, or empty.

        Stores that the folder held are removed.
        Raises: StoreUnusable, DiskFull.
        """
        self.folder = folder
        self.fingerprint = fingerprint
        self.disk = FullDisk()
        self.term_progress = TermProgress()
        self.logs = [LogState() for _ in range(topology.shards)]
        self.bindings_log = LogState()
        self.ignored = 0  # records that did not count
        self._oldest_delta_ms: int | None = None  # of those that no view has yet
        self._generation = topology.generation
        self._bindings = Bindings()
        self._visible = Visible.of(self._bindings, 0, 0)
        self._bases = ThreadPoolExecutor(1, thread_name_prefix="base")
        self._refresher = ThreadPoolExecutor(1, thread_name_prefix="postings")
        self._refreshing: Future[None] | None = None
        self._refresh_at = 0.0
        self._trie = TrieWriter(topology.shards, self._bases.submit)

        def open_shard(shard: int) -> tuple[ShardStore, ShardTable]:
            store_folder = keys.shard_folder(folder, topology.generation, shard)
            discard(store_folder)
            buffer = topology.stores.write_buffer_bytes
            return _open_newest(shard, store_folder, snapshots(shard), buffer)

        with ThreadPoolExecutor(OPENED_AT_ONCE, thread_name_prefix="open") as opening:
            opened = list(opening.map(open_shard, range(topology.shards)))
        self._stores = [store for store, _ in opened]
        self._tables = [table for _, table in opened]
        self._search_indexes = [SearchIndex(store, table) for store, table in opened]
        for shard in range(topology.shards):
            self._add_snapshot(shard)
        # What a search counts takes longest to read, so it is read in the background.
        self.postings_ready = not any(index.pending for index in self._search_indexes)
        self._word_statistics = self._read_statistics()
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
        self._refresher.shutdown()

    def _add_snapshot(self, shard: int) -> None:
        """Take over what a shard's store holds already."""
        state = self._stores[shard].state
        self.logs[shard] = state.log_state()
        ordinals = self._tables[shard].ordinals
        self._trie.note(shard, ordinals)
        self._search_indexes[shard].note_all(ordinals)
        bindings = self._stores[shard].bindings
        self.term_progress.add_snapshot(shard, bindings, state.version, state.offset)

    # Folding.

    def fold_shard(self, shard: int, offset: int, payload: bytes) -> Sequence[ShardEdit]:
        """Fold one record of a shard's log; returns the edits of it that count.

        Raises: LogCorrupt, ForeignCodebook, StoreUnusable; DiskFull, and the record is to be
        folded again.
        """
        folded = self._fold(f"deltas/{shard}", self.logs[shard], offset, payload)
        if folded.delta is None:
            self._count(folded)
            self.logs[shard] = folded.state
            return ()
        edits, moved = self._stores[shard].apply(folded.delta, folded.state)
        self._count(folded)
        self.logs[shard] = folded.state
        changed = self._tables[shard].apply(edits, folded.delta.version, offset)
        self._trie.note(shard, changed | moved)
        self._search_indexes[shard].note(edits)
        self.term_progress.add_shard_delta(shard, folded.delta, offset, edits)
        return edits

    def fold_bindings(self, offset: int, payload: bytes) -> Sequence[Edit]:
        """Fold one record of the bindings log; returns the edits of it that count.

        Raises: LogCorrupt, ForeignCodebook.
        """
        folded = self._fold("bindings", self.bindings_log, offset, payload)
        self._count(folded)
        self.bindings_log = folded.state
        if folded.delta is None:
            return ()
        bindings = self._bindings.copy()
        bindings.apply(folded.delta, folded.state)
        self._bindings = bindings
        edits = [decode_edit(raw) for raw in folded.delta.edits]
        self.term_progress.add_bindings_delta(folded.delta, edits)
        return edits

    def _fold(self, name: str, state: LogState, offset: int, payload: bytes) -> Folded:
        folded = fold(state, offset, payload)
        found = folded.state.fingerprint
        if found and found != self.fingerprint:
            raise ForeignCodebook(
                f"{name}: begun with codebook {found}, this replica has {self.fingerprint}. "
                "Point codebook.path in topology.yaml at the first, or follow the generation of "
                "the second"
            )
        return folded

    def _count(self, folded: Folded) -> None:
        if folded.delta is not None:
            at_ms = folded.delta.at_ms
            self._oldest_delta_ms = min(at_ms, self._oldest_delta_ms or at_ms)
        self.ignored += bool(folded.ignored)

    # Views.

    def swap(self, at_ms: int) -> View:
        """Build a view of what is folded now and put it in use."""
        self.view = self._build(self.view.number + 1, at_ms)
        self._oldest_delta_ms = None
        self.term_progress.add_view(self.view.trie.bindings, at_ms)
        self.term_progress.prune(self._bindings)
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
        trie = self._trie.refresh(self._tables, attached, visible.slots)
        return View(
            number=number,
            generation=self._generation,
            bindings=bindings,
            bindings_offset=self.bindings_log.offset,
            visible=visible.bound,
            next_change_ms=visible.next_change_ms,
            terms=visible.terms,
            trie=trie,
            word_statistics=self._word_statistics,
            stale=tuple(index.stale for index in self._search_indexes),
            shards=tuple(self._readers),
            swapped_ms=at_ms,
            built_seconds=perf_counter() - began,
            oldest_delta_ms=self._oldest_delta_ms,
            pins=visible.pins,
        )

    # Postings.

    def refresh_postings(self, now: float) -> bool:
        """Refresh the postings of changed items in the background; `now` is in seconds.

        Returns whether the view has older postings than there are. A refresh costs half a
        millisecond a shard, however little has changed, so there is a pause between two.
        """
        if self._refreshing is not None and self._refreshing.done():
            self._refreshing.result()
            self._refreshing = None
            self._word_statistics = self._read_statistics()
            self.postings_ready = True
        if self._refreshing is None and now >= self._refresh_at:
            calls = [index.start_refresh() for index in self._search_indexes if index.pending]
            if calls:
                self._refresh_at = now + REFRESH_SECONDS
                self._refreshing = self._refresher.submit(_call_all, calls)
        return self.view.word_statistics is not self._word_statistics

    def _read_statistics(self) -> WordStatistics:
        return WordStatistics(index.publish() for index in self._search_indexes)

    @property
    def is_refreshing(self) -> bool:
        """Whether some items' postings are older than their paths."""
        return self._refreshing is not None or any(index.pending for index in self._search_indexes)

    # What the replica reports of itself.

    @property
    def table_bytes(self) -> int:
        """The memory of the tables."""
        return sum(table.bytes for table in self._tables)

    def store_bytes(self, shard: int) -> int:
        """The disk space of a shard's store."""
        return folder_bytes(self._stores[shard].folder)

    def put_at(self, shard: int, ordinal: int) -> LogPosition | None:
        """The delta that put an item; None if the item came with the shard's snapshot."""
        table = self._tables[shard]
        if table.versions[ordinal] == UNKNOWN:
            return None
        return LogPosition(int(table.versions[ordinal]), int(table.offsets[ordinal]))


def _call_all(calls: Sequence[Callable[[], None]]) -> None:
    for call in calls:
        call()


def _open_newest(
    shard: int, folder: Path, snapshots: SnapshotSource, buffer: int
) -> tuple[ShardStore, ShardTable]:
    """The store of the newest usable snapshot, or an empty one, and what the trie needs of it."""

    def reject(reason: str) -> None:
        log.warning("snapshot_passed_over", shard=shard, cause=reason)

    for snapshot in snapshots(folder, reject):
        try:
            opened = _open(folder, buffer)
        except StoreUnusable as error:
            reject(f"{snapshot}: {error}")
            discard(folder)
            continue
        log.info("snapshot_begun_with", shard=shard, snapshot=snapshot)
        return opened
    return _open(folder, buffer)


def _open(folder: Path, buffer: int) -> tuple[ShardStore, ShardTable]:
    store, table = ShardStore(folder, buffer), ShardTable()
    try:
        table.make_room(store.next_ordinal)
        for paths in store.paths():
            table.load(paths, UNKNOWN, UNKNOWN)
    except BaseException:
        store.close()
        raise
    return store, table
