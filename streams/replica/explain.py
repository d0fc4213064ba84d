"""What /items and /bindings answer: how an item is indexed, and what is bound."""

from kae.encoders.categories import CATEGORIES
from kae.encoders.codebook.codebook import Codebook
from kae.sinks.log.edits import BindSlot, Propose, PutItem
from kae.sinks.log.term_changes import CAMPAIGN_PREFIX, Campaign
from kae.sinks.terms.slot_ledger import ledger_of
from kae.streams.replica.index import ReplicaIndex
from kae.streams.replica.term_progress import DeltaPosition
from kae.streams.replica.view import View
from kae.streams.replica_api import words
from kae.streams.replica_api.answers import (
    AttributeShown,
    BindingShown,
    BindingsShown,
    CapacityShown,
    ItemShown,
    LogPosition,
    PathShown,
    ProposalShown,
    QuarantineShown,
    Words,
)


def describe_item(
    codebook: Codebook, index: ReplicaIndex, view: View, item_id: str
) -> ItemShown | None:
    """How an item is indexed; None when no live item has the id."""
    item = view.live_item(item_id)
    if item is None:
        return None
    shard = view.shard_of(item_id)
    own = words.own_words(codebook, item)
    return ItemShown(
        version=view.version,
        id=item.id,
        title=item.title,
        text=item.text,
        shard=shard,
        ordinal=item.ordinal,
        revision=item.revision,
        popularity=item.popularity,
        put=index.put_at(shard, item.ordinal),
        slots=item.identifier,
        identifier=own,
        groups=[group.name for group in codebook.groups],
        attributes=describe_attributes(codebook, item),
        paths=_paths(index, view, shard, item.ordinal, own),
    )


def describe_attributes(codebook: Codebook, item: PutItem) -> list[AttributeShown]:
    """An item's attributes, each with where it was found."""
    attributes = []
    for found in item.attributes:
        slot = codebook.slot_of(found.category, found.word)
        attributes.append(
            AttributeShown(
                category=CATEGORIES[found.category],
                word=found.word,
                text=found.text,
                source=found.source.name.lower(),
                score=found.score,
                slot=(slot.position, slot.index) if slot else None,
            )
        )
    return attributes


def _paths(
    index: ReplicaIndex, view: View, shard: int, ordinal: int, own: Words
) -> list[PathShown]:
    """The item's own path first, then those through terms, by binding."""
    paths = []
    for binding, path in view.trie.paths_of(shard, ordinal):
        bound = view.bindings.bound[binding] if binding else None
        attached = index.term_progress.attached.get(binding, {}).get(shard)
        paths.append(
            PathShown(
                slots=path,
                words=words.path_words(own, bound),
                term=bound.term if bound else None,
                binding=binding or None,
                attached=_position(attached) if attached else None,
            )
        )
    return paths


def _position(attached: DeltaPosition) -> LogPosition | None:
    """Where a binding was attached; None if that was before the replica's snapshot."""
    return None if attached.at_ms is None else LogPosition(attached.version, attached.offset)


def describe_bindings(codebook: Codebook, view: View) -> BindingsShown:
    """What is bound, what is in quarantine, and which slots are free at each position."""
    bindings = view.bindings
    return BindingsShown(
        version=view.version,
        active=[_binding(view, bound) for _, bound in sorted(bindings.bound.items())],
        quarantined=[
            QuarantineShown(binding, left.slot.position, left.slot.index, left.at_ms)
            for binding, left in sorted(bindings.quarantined.items())
        ],
        capacity=describe_capacity(codebook, view),
        proposals=[_proposal(one) for _, one in sorted(bindings.proposals.items())],
    )


def _binding(view: View, bound: BindSlot) -> BindingShown:
    return BindingShown(
        binding=bound.binding,
        term=bound.term,
        aliases=bound.aliases,
        category=CATEGORIES[bound.category],
        position=bound.position,
        index=bound.index,
        match=bound.selector.match,
        items=len(bound.selector.items),
        where=bound.selector.where,
        revision=bound.revision,
        owner=bound.owner,
        reason=bound.reason,
        accepted_ms=bound.accepted_ms,
        bound_ms=view.bindings.bound_at[bound.binding][1],
        attached_items=view.attached_items(bound.binding),
        decodable=bound.binding in view.trie.bindings,
        state=_state(view, bound),
        from_ms=bound.from_ms or None,
        until_ms=bound.until_ms or None,
        by=bound.by,
        approved_by=bound.approved_by,
        campaign=bound.campaign.removeprefix(CAMPAIGN_PREFIX) or None,
        plus=len(bound.selector.plus),
        minus=len(bound.selector.minus),
        pins=bound.selector.pins,
    )


def _state(view: View, bound: BindSlot) -> str:
    if bound.binding in view.visible:
        return "active"
    if bound.until_ms and bound.until_ms <= view.swapped_ms:
        return "expired"
    return "scheduled" if bound.from_ms > view.swapped_ms else "pending"


def _proposal(proposal: Propose) -> ProposalShown:
    change = proposal.change
    return ProposalShown(
        key=proposal.key,
        kind=type(change).__name__.lower(),
        revision=proposal.revision,
        by=change.by,
        terms=[bind.term for bind in change.binds]
        if isinstance(change, Campaign)
        else [proposal.key],
        plan_hash=change.plan.hash,
        plan_items=change.plan.items,
    )


def describe_capacity(codebook: Codebook, view: View) -> list[CapacityShown]:
    """The reserved slots of each position: bound, in quarantine, free."""
    capacity = []
    for position, group in enumerate(codebook.groups):
        ledger = ledger_of(view.bindings, position, group.reserved, quarantine_ms=0)
        capacity.append(
            CapacityShown(
                position=position,
                group=group.name,
                reserved=group.reserved,
                bound=ledger.used,
                quarantined=ledger.quarantined,
                free=ledger.free,
            )
        )
    return capacity
