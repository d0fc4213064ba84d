"""Receipts: how far a term has come, stage by stage, each with its time.

    accepted    the broker took the term event
    bound       the registrar gave the term a slot
    attached    every shard has resolved the selector against its items
    active      the term is in force: at once, or, for a schedule, a campaign or a change of its
                items, when every shard has attached it and its time has come
    applied     every live replica has a view with all of this
    decodable   the view of the replica that answers has a path to an item through the term's slot

A released term has other stages: released, detached by every shard, applied by every live replica.
A proposed one: accepted, proposed.
"""

from collections.abc import Mapping, Sequence

from kae.sinks.log.edits import EXPIRED, BindSlot
from kae.streams.replica.leases import Lease
from kae.streams.replica.term_progress import DeltaPosition, ReleasedTerm, TermProgress
from kae.streams.replica.view import View
from kae.streams.replica_api.terms import Receipt, Refusal, Stage


def receipt_of(
    term: str, view: View, progress: TermProgress, live: Sequence[Lease]
) -> Receipt | None:
    """The receipt of a normalised term; None if no event of it was registered."""
    bindings = view.bindings
    refused = bindings.refused.get(term)
    proposal = bindings.proposals.get(term)
    if term not in bindings.terms and refused is None and proposal is None:
        return None
    revision, binding = bindings.terms.get(term, (-1, 0))
    bound = bindings.bound.get(binding)
    state, stages = _state(term, view, progress, live)
    return Receipt(
        version=view.version,
        term=term,
        state=state,
        revision=revision,
        binding=bound.binding if bound else None,
        position=bound.position if bound else None,
        index=bound.index if bound else None,
        attached_items=view.attached_items(binding) if bound else 0,
        stages=stages,
        refused=Refusal(refused.revision, refused.cause) if refused else None,
        proposed=proposal.revision if proposal else None,
        from_ms=(bound.from_ms or None) if bound else None,
        until_ms=(bound.until_ms or None) if bound else None,
        campaign=(bound.campaign or None) if bound else None,
    )


def _state(
    term: str, view: View, progress: TermProgress, live: Sequence[Lease]
) -> tuple[str, list[Stage]]:
    bindings = view.bindings
    revision, binding = bindings.terms.get(term, (-1, 0))
    bound = bindings.bound.get(binding)
    released = progress.released.get(term)
    proposal = bindings.proposals.get(term)
    if bound is not None:
        state = "bound" if bound.is_valid_at(view.swapped_ms) else "scheduled"
        if bound.until_ms and bound.until_ms <= view.swapped_ms:
            state = "expired"
        return state, _bound_stages(bound, view, progress, live)
    if proposal is not None:
        accepted_ms = getattr(proposal.change, "accepted_ms", None)
        done = [Stage(name, True, 1, 1, accepted_ms) for name in ("accepted", "proposed")]
        return "proposed", done
    if released is not None:
        state = "expired" if released.cause == EXPIRED else "released"
        return state, _released_stages(term, released, view, progress, live)
    if revision >= 0:
        # Released so long ago that its time is not kept.
        return "released", [Stage("released", True, 1, 1, None)]
    return "refused", []


def has_reached(receipt: Receipt | None, revision: int, until: str) -> bool:
    """Whether a revision has reached a stage, or never will: it is refused or superseded.

    A term that is attached to no item is never decodable; it only has to be attached everywhere.
    """
    if receipt is None:
        return False
    if receipt.refused is not None and receipt.refused.revision >= revision:
        return True
    if receipt.proposed is not None and receipt.proposed >= revision:
        return True
    if receipt.revision != revision:
        return receipt.revision > revision
    done = {stage.stage: stage.done for stage in receipt.stages}
    if until == "decodable" and done.get("attached") and not receipt.attached_items:
        return True
    return done.get(until, all(done.values()))


def _bound_stages(
    bound: BindSlot, view: View, progress: TermProgress, live: Sequence[Lease]
) -> list[Stage]:
    binding = bound.binding
    version, bound_ms = view.bindings.changed_at[binding], view.bindings.bound_at[binding][1]
    # Only what this view holds counts, so that a receipt and a search never contradict each other.
    positions = {
        shard: position
        for shard, position in progress.attached.get(binding, {}).items()
        if binding in view.shards[shard].attached
    }
    decodable = binding in view.trie.bindings
    return [
        Stage("accepted", True, 1, 1, bound.accepted_ms),
        Stage("bound", True, 1, 1, bound_ms),
        _by_shards("attached", positions, len(view.shards)),
        _active(bound, view, bound_ms),
        _applied(version, positions, len(view.shards), live, progress.applied_ms.get(binding)),
        Stage(
            "decodable",
            decodable,
            int(decodable),
            1,
            progress.decodable_ms.get(binding) if decodable else None,
        ),
    ]


def _active(bound: BindSlot, view: View, bound_ms: int) -> Stage:
    is_active = bound.binding in view.visible
    activated_ms = view.bindings.activated_ms.get(bound.binding, bound_ms)
    at_ms = max(activated_ms, bound.from_ms) if is_active else None
    return Stage("active", is_active, int(is_active), 1, at_ms)


def _released_stages(
    term: str, released: ReleasedTerm, view: View, progress: TermProgress, live: Sequence[Lease]
) -> list[Stage]:
    shards = len(view.shards)
    # A shard that detached it before the snapshot that the replica started from: by its state.
    positions = {
        shard: DeltaPosition(reader.state.version, reader.state.offset, None)
        for shard, reader in enumerate(view.shards)
        if reader.state.source.bindings_version >= released.version
        and released.binding not in reader.attached
    } | dict(progress.detached.get(released.binding, {}))
    stages = [Stage("released", True, 1, 1, released.at_ms)]
    if released.binding:  # a term that was never bound has nothing to detach
        stages.append(_by_shards("detached", positions, shards))
    at_ms = progress.release_applied_ms.get(term)
    return [*stages, _by_replicas(live, released.version, {}, at_ms)]


def _by_shards(stage: str, positions: Mapping[int, DeltaPosition], shards: int) -> Stage:
    done = len(positions) == shards
    times = [position.at_ms for position in positions.values() if position.at_ms is not None]
    at_ms = max(times) if done and len(times) == shards else None
    missing = tuple(f"shard {shard}" for shard in range(shards) if shard not in positions)
    return Stage(stage, done, len(positions), shards, at_ms, missing)


def _applied(
    version: int,
    positions: Mapping[int, DeltaPosition],
    shards: int,
    live: Sequence[Lease],
    at_ms: int | None,
) -> Stage:
    if len(positions) < shards:
        return Stage("applied", False, 0, len(live), None, tuple(lease.replica for lease in live))
    wanted = {shard: position.version for shard, position in positions.items()}
    return _by_replicas(live, version, wanted, at_ms)


def _by_replicas(
    live: Sequence[Lease], version: int, shards: Mapping[int, int], at_ms: int | None
) -> Stage:
    """Live replicas count: one that is gone is not waited for, and one that is slow is named."""
    missing = tuple(lease.replica for lease in live if not lease.covers(version, shards))
    done = bool(live) and not missing
    count = len(live) - len(missing)
    return Stage("applied", done, count, len(live), at_ms if done else None, missing)
