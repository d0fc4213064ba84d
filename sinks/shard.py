"""One owned shard: its store and its log, written together."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from pyroaring import BitMap

from kae.encoders.percolator import Percolator
from kae.encoders.selector import CompiledSelector
from kae.sinks.log.edits import Counts, Delta, SourceRange
from kae.sinks.log.fold import LogState
from kae.sinks.log.ownership import OwnedLog, StoreDiverged, UnappliedDelta
from kae.sinks.log.protocol import Log, LogEnded
from kae.sinks.postings.selector_index import SelectorIndex
from kae.sinks.store.plan import DeltaPlan, Prepared, plan_bindings, plan_items
from kae.sinks.store.recovery import SnapshotSource, no_snapshots, open_or_restore
from kae.sinks.store.store import ShardStore
from kae.sinks.terms.bindings import Bindings


class Shard:
    """The single writer of one shard.

    `append_*` appends a delta to the log, and its `apply` writes it to the store. One delta has to
    be applied before the next is planned.
    """

    def __init__(
        self,
        folder: Path,
        log: Log,
        *,
        owner: str,
        fingerprint: str,
        max_bytes: int,
        write_buffer_bytes: int = 64 << 20,
        sync_writes: bool = False,
        on_claim: Callable[[], None] = lambda: None,
        snapshots: SnapshotSource = no_snapshots,
    ) -> None:
        """Open or restore the store, claim the log and catch up with it.

        The store is the first that is whole and a fold of the log's beginning: the folder's own, a
        snapshot, or an empty one. `restored_from` names the snapshot, `rejected` says why others
        were not taken.
        Raises: StoreUnusable, DiskFull, ForeignCodebook, AppendUnknown; LogTruncated if the log no
        longer has what even the best of them lacks.
        """
        self.folder = folder
        self.rejected: list[str] = []
        self._max_bytes = max_bytes
        self._attached_selectors = Percolator({})
        self._attached_version = 0  # the version of the bindings that these selectors are of
        self._topic = ""

        def open_store() -> None:
            self.store = ShardStore(folder, write_buffer_bytes, sync_writes)
            self.log = OwnedLog(
                log, self.store.state.log_state(), owner, fingerprint, self.store.apply
            )
            try:
                self.store.check()
                self._claim(log.name, on_claim)
            except BaseException:
                self.store.close()
                raise

        self.restored_from = open_or_restore(folder, snapshots, open_store, self.rejected)
        self.selector_index = SelectorIndex(self.store)

    def _claim(self, name: str, on_claim: Callable[[], None]) -> None:
        written = self.store.state.log
        self.store.log_name = name
        try:
            self.log.claim(on_claim)
        except LogEnded as error:
            # The log need not have lost anything: the store may be that of another shard.
            if written in ("", name):
                raise
            raise StoreDiverged(f"{name}: the store is a fold of {written}") from error

    def close(self) -> None:
        self.store.close()

    @property
    def source(self) -> SourceRange:
        """Where the store stands in what it is derived from."""
        return self.store.state.source

    @property
    def next_offset(self) -> int:
        """The first source record that is not in the store yet."""
        return self.source.next_offset

    @property
    def topic(self) -> str:
        """The id of the topic that `next_offset` belongs to; empty if it is not known."""
        source = self.source
        return source.topic if source.topic and source.next_offset else self._topic

    def note_topic(self, topic: str) -> None:
        """Note the id of the topic that is read from here on; the next items keep it in the log."""
        self._topic = topic

    def plan_items(
        self, prepared: Sequence[Prepared], selectors: Mapping[int, CompiledSelector]
    ) -> DeltaPlan:
        """Plan the delta of a batch of items; this changes nothing.

        Raises: EditTooLarge.
        """
        plan = plan_items(
            prepared,
            self.store.heads(sorted({change.id for change, _ in prepared})),
            self.store.next_ordinal,
            self._percolator(selectors),
        )
        plan.encode(self._max_bytes)
        return plan

    def append_items(
        self, plan: DeltaPlan, dead: int, next_offset: int, at_ms: int
    ) -> UnappliedDelta:
        """Append a plan of items; `dead` more records were stored as dead letters."""
        plan.counts = plan.counts + Counts(read=dead, dead=dead)
        source = msgspec.structs.replace(self.source, next_offset=next_offset, topic=self.topic)
        return self._append(plan, source, at_ms)

    def append_bindings(
        self, bindings: Bindings, selectors: Mapping[int, CompiledSelector], at_ms: int
    ) -> UnappliedDelta | None:
        """Plan and append what a version of the bindings changes here; None if it is not newer."""
        if bindings.version <= self.source.bindings_version:
            return None
        plan = DeltaPlan(edits=plan_bindings(bindings.bound, selectors, self.store.bindings, self))
        plan.encode(self._max_bytes)
        source = msgspec.structs.replace(self.source, bindings_version=bindings.version)
        return self._append(plan, source, at_ms)

    def append_source(self, source: SourceRange, at_ms: int, lost: int = 0) -> UnappliedDelta:
        """Append a delta without edits that moves the shard to `source`, past `lost` records."""
        return self._append(DeltaPlan(counts=Counts(read=lost, lost=lost)), source, at_ms)

    def _append(self, plan: DeltaPlan, source: SourceRange, at_ms: int) -> UnappliedDelta:
        def apply(delta: Delta, state: LogState) -> None:
            self.store.apply(delta, state, plan)
            self.selector_index.note(plan.edits)

        return self.log.append(plan.raw, source, plan.counts, at_ms, self._max_bytes, apply)

    def resolve(self, selector: CompiledSelector) -> BitMap:
        """The ordinals of this shard's items that a selector matches."""
        return self.selector_index.resolve(selector)

    def _percolator(self, selectors: Mapping[int, CompiledSelector]) -> Percolator:
        """The selectors of the attached bindings, compiled once for each bindings version."""
        version = self.source.bindings_version
        if self._attached_version != version:
            attached = {binding: selectors[binding] for binding in self.store.bindings}
            self._attached_selectors, self._attached_version = Percolator(attached), version
        return self._attached_selectors
