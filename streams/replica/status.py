"""The replica's own state, as /status tells it."""

from kae.sinks.edits import Counts
from kae.sinks.store_reader import StoreReader
from kae.streams.replica.answers import (
    BindingsLogShown,
    CountsShown,
    ReplicaShown,
    ShardShown,
    Status,
)
from kae.streams.replica.follower import now_ms
from kae.streams.replica.freshness import Freshness
from kae.streams.replica.index import ReplicaIndex
from kae.streams.replica.leases import Leases
from kae.streams.replica.search import version_of
from kae.streams.replica.view import View


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
