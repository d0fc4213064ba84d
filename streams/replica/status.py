"""What /status and /generations answer: the replica's own state, and the generations it follows."""

import time
from collections.abc import Iterator

import msgspec

from kae.encoders.categories import Slot
from kae.encoders.codebook.codebook import Codebook
from kae.sinks.log.edits import BindSlot, Counts
from kae.sinks.store.reader import StoreReader
from kae.streams.clock import now_ms
from kae.streams.replica.generation import GenerationReplica, Serving
from kae.streams.replica.leases import Leases
from kae.streams.replica.view import View
from kae.streams.replica_api.status import (
    BindingsLogShown,
    CountsShown,
    CutoverShown,
    GenerationShown,
    GenerationsShown,
    GenerationTerm,
    ReplicaShown,
    ShardShown,
    Status,
)


def describe_status(
    name: str, replica: GenerationReplica, *, hashed: bool, view: View | None = None
) -> Status:
    """The state of one view, by default the one in use; `hashed` reads every item of it once."""
    index = replica.index
    view = view or index.view
    return Status(
        version=view.version,
        replica=name,
        codebook=index.fingerprint,
        items=view.items,
        paths=view.trie.path_count,
        view_swapped_ms=view.swapped_ms,
        view_built_ms=round(view.built_seconds * 1000, 3),
        ignored_records=index.ignored,
        freshness=replica.gauge.reading(time.monotonic()),
        shards=[_shard(shard, reader, hashed) for shard, reader in enumerate(view.shards)],
        bindings=_bindings(view),
        replicas=_replicas(replica.leases, view),
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
        counts=describe_counts(state.counts),
        live=state.live,
        hash=reader.content_hash() if hashed else None,
        paused=state.source.paused,
        stopped=state.source.stopped,
        topic=state.source.topic,
    )


def describe_counts(counts: Counts) -> CountsShown:
    return CountsShown(*msgspec.structs.astuple(counts))


def _bindings(view: View) -> BindingsLogShown:
    bindings = view.bindings
    return BindingsLogShown(
        version=bindings.version,
        offset=view.bindings_offset,
        source_next_offset=bindings.source.next_offset,
        counts=describe_counts(bindings.counts),
        active=len(bindings.bound),
        quarantined=len(bindings.quarantined),
        topic=bindings.source.topic,
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


def describe_generations(name: str, serving: Serving, *, hashed: bool) -> GenerationsShown:
    """One view of each generation; `hashed` reads every item of each once."""
    cutover = None
    if serving.state.cutover is not None:
        one = serving.state.cutover.record
        cutover = CutoverShown(
            serving.state.cutover.offset, one.generation, one.previous, one.items, one.terms,
            one.by, one.reason, one.at_ms,
        )  # fmt: skip
    # All views are taken before any is read, so they are of one moment.
    views = [(replica, replica.view()) for _, replica in sorted(serving.replicas.items())]
    return GenerationsShown(
        replica=name,
        serving=serving.current.generation,
        wanted=serving.state.serving,
        cutover=cutover,
        generations=[_generation(name, replica, view, hashed) for replica, view in views],
        problems=dict(serving.problems),
    )


def _generation(name: str, replica: GenerationReplica, view: View, hashed: bool) -> GenerationShown:
    status = describe_status(name, replica, hashed=hashed, view=view)
    return GenerationShown(replica.generation, status, list(_terms(replica.codebook, view, hashed)))


def _terms(codebook: Codebook, view: View, counted: bool) -> Iterator[GenerationTerm]:
    decodable = view.trie.bindings
    for bound in sorted(view.visible.values(), key=lambda bound: bound.term):
        slot = codebook.slot_of(bound.category, bound.term)
        yield GenerationTerm(
            term=bound.term,
            revision=bound.revision,
            attached_items=view.attached_items(bound.binding),
            decodable=bound.binding in decodable,
            promoted=slot is not None,
            own_items=_own_items(view, bound, slot) if counted else None,
        )


def _own_items(view: View, bound: BindSlot, slot: Slot | None) -> int:
    """How many of a term's items have the slot that the codebook has for the word."""
    if slot is None:
        return 0
    return sum(
        reader.item_at(ordinal).identifier[slot.position] == slot.index
        for reader in view.shards
        for ordinal in reader.attached.get(bound.binding, ())
    )
