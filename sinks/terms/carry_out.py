"""What one change does to the bindings once it may be carried out: its edits. Pure."""

import msgspec
from msgspec.structs import asdict, replace

from kae.encoders.selector import Selector
from kae.sinks.log.edits import RELEASED, REPLACED, BindingEdit, BindSlot, Deactivate, Withdraw
from kae.sinks.log.term_changes import (
    Adjust,
    Bind,
    Campaign,
    CampaignRelease,
    Extend,
    Proposable,
    Realias,
    Release,
    Retarget,
)
from kae.sinks.terms.draft import BindingsDraft, ChangeRefused


def carry_out(draft: BindingsDraft, change: Proposable, approved_by: str) -> list[BindingEdit]:
    """The edits of a bind, or of a change of a bound term; `approved_by` is empty for nobody.

    Raises: ChangeRefused.
    """
    match change:
        case Bind():
            return _bind(draft, change, approved_by)
        case Campaign():
            return _bind_campaign(draft, change, approved_by)
        case Realias():
            bound = draft.bound(change.term)
            return [_changed(bound, change, approved_by, aliases=change.aliases)]
        case Extend():
            bound = draft.bound(change.term)
            # An end that nobody had to approve leaves the name of who approved the term.
            approver = approved_by or bound.approved_by
            return [_changed(bound, change, approver, until_ms=change.until_ms)]
        case Retarget():
            return _select(draft, change, change.selector, approved_by)
        case Adjust():
            return _select(draft, change, _adjusted(draft, change), approved_by)


def release(draft: BindingsDraft, change: Release) -> list[BindingEdit]:
    """The end of a term; of one that is not bound only the revision is remembered."""
    edits = _deactivated(draft, change.term, change.revision, change.by)
    return edits or [Deactivate(0, change.term, change.revision, by=change.by)]


def release_campaign(draft: BindingsDraft, change: CampaignRelease) -> list[BindingEdit]:
    """The end of every term of a campaign, and of a proposal of it.

    Raises: ChangeRefused.
    """
    edits = [
        edit
        for bound in draft.bindings.members(change.key)
        for edit in _deactivated(draft, bound.term, change.revision, change.by)
    ]
    proposal = draft.bindings.proposals.get(change.key)
    if proposal is not None:
        edits.append(Withdraw(change.key, proposal.revision, change.by, "released"))
    if not edits:
        raise ChangeRefused(
            f"{change.key!r}: none of its terms is bound; kae term list shows what is"
        )
    return edits


# Binding.


def refuse_other_spelling(draft: BindingsDraft, change: Bind) -> None:
    """Refuse that a word takes the place of another that reads the same once signs are dropped.

    Upper case and spaces make no other word.
    Raises: ChangeRefused.
    """
    old = draft.bindings.holder_of(change.term)
    if old is None or change.replace or not old.written or not change.written:
        return
    if _letters(old.written) != _letters(change.written):
        raise ChangeRefused(
            f"{change.written!r}: {old.written!r} is bound, and both are the term {change.term!r}; "
            "give --replace to put this one in its place, or bind another word"
        )


def _letters(written: str) -> str:
    return " ".join(written.casefold().split())


def _bind(draft: BindingsDraft, change: Bind, approved_by: str) -> list[BindingEdit]:
    """A bind of a bound term releases the old binding and takes a new slot (ADR 7).

    A bind with a plan waits until every shard has reported how many items it has.
    """
    waits = change.from_ms > change.accepted_ms or bool(change.plan.hash)
    slot = _slot(
        change,
        binding=draft.bindings.next_binding,
        index=draft.free_index(change.position, change.term),
        approved_by=approved_by,
        pending=waits,
    )
    old = draft.bindings.holder_of(change.term)
    if old is not None and waits:
        return _in_place_of(draft, old, slot)
    return [*_deactivated(draft, change.term, change.revision, change.by, REPLACED), slot]


def _bind_campaign(draft: BindingsDraft, change: Campaign, approved_by: str) -> list[BindingEdit]:
    held = [bind.term for bind in change.binds if draft.bindings.holder_of(bind.term)]
    if held:
        raise ChangeRefused(
            f"{change.key!r}: {len(held)} of its {len(change.binds)} terms are bound: "
            f"{', '.join(map(repr, held[:5]))}. Release them, or leave them out"
        )
    wanted: dict[int, list[str]] = {}
    for bind in change.binds:
        wanted.setdefault(bind.position, []).append(bind.term)
    indices = {p: iter(draft.free_indices(p, terms)) for p, terms in wanted.items()}
    return [
        _slot(
            replace(bind, revision=change.revision, by=change.by, plan=change.plan),
            binding=binding,
            index=next(indices[bind.position]),
            approved_by=approved_by,
            pending=True,
            campaign=change.key,
        )
        for binding, bind in enumerate(change.binds, draft.bindings.next_binding)
    ]


def _slot(
    bind: Bind, *, binding: int, index: int, approved_by: str, pending: bool, campaign: str = ""
) -> BindSlot:
    """A binding has every field of its bind, but for what it is allowed to replace."""
    fields = asdict(bind)
    del fields["replace"]
    return BindSlot(
        binding=binding,
        index=index,
        approved_by=approved_by,
        pending=pending,
        campaign=campaign,
        **fields,
    )


# Changing what is bound.


def _select(
    draft: BindingsDraft, change: Retarget | Adjust, selector: Selector, approved_by: str
) -> list[BindingEdit]:
    """Another selector takes another slot, unless it is the one that the term has already."""
    bound = draft.bound(change.term)
    if selector == bound.selector and not change.plan.hash:
        return [_changed(bound, change, approved_by)]
    slot = replace(
        _changed(bound, change, approved_by),
        binding=draft.bindings.next_binding,
        index=draft.free_index(bound.position, change.term),
        selector=selector,
        accepted_ms=change.accepted_ms,
        pending=True,
        replaces=0,
        plan=change.plan,
    )
    return _in_place_of(draft, bound, slot)


def _adjusted(draft: BindingsDraft, change: Adjust) -> Selector:
    """The selector of a bound term with single items added, excluded or pinned."""
    bound, policy = draft.bound(change.term), draft.policy
    selector = bound.selector.adjusted(change.add, change.exclude, change.pins)
    named = len(selector.items) + len(selector.plus) + len(selector.minus)
    if named > policy.items_per_selector:
        raise ChangeRefused(
            f"{change.term!r}: it would name {named} items, terms.items_per_selector in "
            f"topology.yaml allows {policy.items_per_selector}; retarget it to an "
            "expression that selects them"
        )
    size = len(msgspec.msgpack.encode(selector))
    if size > policy.selector_bytes:
        raise ChangeRefused(
            f"{change.term!r}: its selector would have {size} bytes, limits.event_bytes in "
            f"topology.yaml allows {policy.selector_bytes}; retarget it to an "
            "expression that selects them"
        )
    return selector


def _changed(
    bound: BindSlot,
    change: Retarget | Adjust | Realias | Extend,
    approved_by: str,
    **fields: object,
) -> BindSlot:
    """The binding after a change: whose it is, and the fields that it sets."""
    return replace(bound, revision=change.revision, by=change.by, approved_by=approved_by, **fields)


def _in_place_of(draft: BindingsDraft, old: BindSlot, new: BindSlot) -> list[BindingEdit]:
    """The old binding stays until every shard has attached the new one."""
    if old.binding not in draft.bindings.pending:
        return [replace(new, replaces=old.binding)]
    given_up = Deactivate(old.binding, old.term, new.revision, REPLACED, new.by)
    return [given_up, replace(new, replaces=old.replaces)]


def _deactivated(
    draft: BindingsDraft, term: str, revision: int, by: str, cause: str = RELEASED
) -> list[BindingEdit]:
    """The end of a term's binding, and of the one that it was to replace."""
    holder = draft.bindings.holder_of(term)
    if holder is None:
        return []
    return [
        Deactivate(binding, term, revision, cause, by)
        for binding in (holder.binding, holder.replaces)
        if binding in draft.bindings.bound
    ]
