"""Explaining: an item, and the bindings, as a view has them."""

from kae.encoders.categories import CATEGORIES
from kae.encoders.codebook.codebook import Codebook
from kae.sinks.log.edits import BindSlot, Propose, PutItem
from kae.sinks.log.term_changes import CAMPAIGN_PREFIX, Campaign
from kae.sinks.terms.slot_ledger import ledger_of
from kae.streams.kafka.partitioner import partition_of
from kae.streams.replica.index import ReplicaIndex
from kae.streams.replica.journal import Placed
from kae.streams.replica.receipts import attached_items
from kae.streams.replica.search import version_of
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


def explain_item(
    codebook: Codebook, index: ReplicaIndex, view: View, item_id: str
) -> ItemShown | None:
    """How an item is indexed; None when no live item has the id."""
    item = live_item(view, item_id)
    if item is None:
        return None
    shard = partition_of(item_id, len(view.shards))
    own = words.own_words(codebook, item)
    return ItemShown(
        version=version_of(view),
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
        attributes=attributes_of(codebook, item),
        paths=_paths(index, view, shard, item.ordinal, own),
    )


def live_item(view: View, item_id: str) -> PutItem | None:
    """The item as the view has it; None when no live item has the id."""
    item = view.shards[partition_of(item_id, len(view.shards))].item(item_id)
    return item if isinstance(item, PutItem) else None


def attributes_of(codebook: Codebook, item: PutItem) -> list[AttributeShown]:
    """An item's attributes, each with where it was found."""
    shown = []
    for found in item.attributes:
        slot = codebook.slot_of(found.category, found.word)
        shown.append(
            AttributeShown(
                category=CATEGORIES[found.category],
                word=found.word,
                text=found.text,
                source=found.source.name.lower(),
                score=found.score,
                slot=(slot.position, slot.index) if slot else None,
            )
        )
    return shown


def _paths(
    index: ReplicaIndex, view: View, shard: int, ordinal: int, own: Words
) -> list[PathShown]:
    """The item's own path first, then those of terms, by binding."""
    paths = []
    for binding, path in view.trie.paths_of(shard, ordinal):
        bound = view.bindings.bound[binding] if binding else None
        placed = index.journal.attached.get(binding, {}).get(shard)
        paths.append(
            PathShown(
                slots=path,
                words=words.path_words(own, bound),
                term=bound.term if bound else None,
                binding=binding or None,
                attached=_position(placed) if placed else None,
            )
        )
    return paths


def _position(placed: Placed) -> LogPosition | None:
    """Where a binding was attached, unless that lies before the replica's snapshot."""
    return None if placed.at_ms is None else LogPosition(placed.version, placed.offset)


def show_bindings(codebook: Codebook, view: View) -> BindingsShown:
    """What is bound, what is in quarantine, and what is left at each position."""
    bindings = view.bindings
    return BindingsShown(
        version=version_of(view),
        active=[_binding(view, bound) for _, bound in sorted(bindings.bound.items())],
        quarantined=[
            QuarantineShown(binding, left.slot.position, left.slot.index, left.at_ms)
            for binding, left in sorted(bindings.quarantined.items())
        ],
        capacity=capacity_shown(codebook, view),
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
        attached_items=attached_items(view, bound.binding),
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


def capacity_shown(codebook: Codebook, view: View) -> list[CapacityShown]:
    shown = []
    for position, group in enumerate(codebook.groups):
        ledger = ledger_of(view.bindings, position, group.reserved, quarantine_ms=0)
        shown.append(
            CapacityShown(
                position=position,
                group=group.name,
                reserved=group.reserved,
                bound=ledger.used,
                quarantined=ledger.quarantined,
                free=ledger.free,
            )
        )
    return shown
