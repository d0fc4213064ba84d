"""The replica's own state, as /status tells it.

What a replica tells of the generations that it follows.
"""

import time
from collections.abc import Iterator

from kae.encoders.categories import Slot
from kae.encoders.codebook.codebook import Codebook
from kae.sinks.log.edits import BindSlot, Counts
from kae.sinks.store.reader import StoreReader
from kae.streams.clock import now_ms
from kae.streams.replica.generation import GenerationReplica, Serving
from kae.streams.replica.index import ReplicaIndex
from kae.streams.replica.leases import Leases
from kae.streams.replica.receipts import attached_items
from kae.streams.replica.search import version_of
from kae.streams.replica.view import View
from kae.streams.replica_api.answers import (
    BindingsLogShown,
    CountsShown,
    CutoverShown,
    Freshness,
    GenerationShown,
    GenerationsShown,
    ReplicaShown,
    ShardShown,
    Status,
    TermStanding,
)


def show_status(
    name: str,
    index: ReplicaIndex,
    leases: Leases,
    freshness: Freshness,
    *,
    hashed: bool,
    view: View | None = None,
) -> Status:
    """One view's state, by default of the one in use; `hashed` reads every item of it once."""
    view = view or index.view
    return Status(
        version=version_of(view),
        replica=name,
        codebook=index.fingerprint,
        items=view.items,
        paths=view.trie.paths,
        view_swapped_ms=view.swapped_ms,
        view_built_ms=round(view.built_seconds * 1000, 3),
        ignored_records=index.ignored,
        freshness=freshness,
        shards=[_shard(shard, reader, hashed) for shard, reader in enumerate(view.shards)],
        bindings=_bindings(view),
        replicas=_replicas(leases, view),
    )


def _shard(shard: int, reader: StoreReader, hashed: bool) -> ShardShown:
    state = reader.state
    return ShardShown(
        shard=shard,
        version=state.version,
        offset=state.offset,
        epoch=state.epoch,
        bindings_version=state.source.bindings_version,
        source_next_offset=state.source.next_offset,
        counts=show_counts(state.counts),
        live=state.live,
        hash=reader.content_hash() if hashed else None,
        paused=state.source.paused,
    )


def show_counts(counts: Counts) -> CountsShown:
    return CountsShown(counts.read, counts.put, counts.dropped, counts.stale, counts.dead)


def _bindings(view: View) -> BindingsLogShown:
    bindings = view.bindings
    return BindingsLogShown(
        version=bindings.version,
        offset=view.bindings_offset,
        source_next_offset=bindings.source.next_offset,
        counts=show_counts(bindings.counts),
        active=len(bindings.bound),
        quarantined=len(bindings.quarantined),
    )


def _replicas(leases: Leases, view: View) -> list[ReplicaShown]:
    now = now_ms()
    return [
        ReplicaShown(
            replica=lease.replica,
            live=leases.is_live(lease, now),
            bindings_version=lease.bindings_version,
            shards=lease.shards,
            at_ms=lease.at_ms,
            behind=lease.behind(view.bindings.version, view.versions),
            serving=lease.serving,
        )
        for lease in leases.all()
    ]


def show_generations(name: str, serving: Serving, *, hashed: bool) -> GenerationsShown:
    """One view of each generation; `hashed` reads every item of them once."""
    made = serving.book.made
    cutover = None
    if made is not None:
        one = made.cutover
        cutover = CutoverShown(
            made.offset, one.generation, one.previous, one.items, one.terms, one.by, one.reason,
            one.at_ms,
        )  # fmt: skip
    # All views before any is read: so they are of one moment.
    views = [(line, line.view()) for _, line in sorted(serving.lines.items())]
    return GenerationsShown(
        replica=name,
        serving=serving.line.generation,
        wanted=serving.book.serving,
        cutover=cutover,
        generations=[_generation(name, line, view, hashed) for line, view in views],
        problems=dict(serving.problems),
    )


def _generation(name: str, line: GenerationReplica, view: View, hashed: bool) -> GenerationShown:
    freshness = line.gauge.reading(time.monotonic())
    status = show_status(name, line.index, line.leases, freshness, hashed=hashed, view=view)
    return GenerationShown(line.generation, status, list(_terms(line.codebook, view, hashed)))


def _terms(codebook: Codebook, view: View, counted: bool) -> Iterator[TermStanding]:
    decodable = view.trie.bindings
    for bound in sorted(view.visible.values(), key=lambda bound: bound.term):
        slot = codebook.slot_of(bound.category, bound.term)
        yield TermStanding(
            term=bound.term,
            revision=bound.revision,
            attached_items=attached_items(view, bound.binding),
            decodable=bound.binding in decodable,
            promoted=slot is not None,
            own_items=_own_items(view, bound, slot) if counted else None,
        )


def _own_items(view: View, bound: BindSlot, slot: Slot | None) -> int:
    """How many of a term's items have the codebook's own slot of the word."""
    if slot is None:
        return 0
    return sum(
        reader.item_at(ordinal).identifier[slot.position] == slot.index
        for reader in view.shards
        for ordinal in reader.attached.get(bound.binding, ())
    )
