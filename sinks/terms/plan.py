"""Planning terms: what a batch of term events does to the bindings log. Pure.

Terms are ordered by revision; of one revision the first counts. What cannot be carried out becomes
a Refuse, and changes nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import inf

import msgspec
from msgspec.structs import replace

from kae.encoders.categories import Slot
from kae.encoders.selector import Selector
from kae.sinks.log.edits import (
    REPLACED,
    BindingEdit,
    BindSlot,
    Counts,
    Deactivate,
    Propose,
    Refuse,
    Withdraw,
)
from kae.sinks.log.term_changes import (
    Adjust,
    Approve,
    Bind,
    Campaign,
    CampaignRelease,
    ExpectedItems,
    Extend,
    Proposable,
    Realias,
    Reject,
    Release,
    Retarget,
    TermChange,
)
from kae.sinks.terms.bindings import Bindings
from kae.sinks.terms.slot_ledger import ledger_of, no_slot_cause, soonest_to_end


@dataclass(frozen=True, slots=True)
class TermPolicy:
    """What must hold for a change to be carried out."""

    approvals: int = 0  # how many others must approve: none or one
    tolerance_percent: float = 0.0  # by how much the items of a plan may differ at its approval
    quarantine_ms: int = 0  # rest of a released slot, which a refusal tells
    items_per_selector: int = 10_000  # that one term may name
    selector_bytes: int = 1 << 20  # that one term's selector may have as it is kept


NO_APPROVALS = TermPolicy()


@dataclass(slots=True)
class TermPlan:
    """What a batch of term events does to the bindings log."""

    edits: list[BindingEdit] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    refused: list[Refuse] = field(default_factory=list)
    stale: list[int] = field(default_factory=list)  # the places of those that change nothing


class _Refused(Exception):
    """A change that cannot be carried out; the message is the cause."""


class _Stale(Exception):
    """A change that is not newer than what is known."""


def plan_terms(
    bindings: Bindings,
    changes: Sequence[TermChange],
    reserved: Mapping[int, range],
    conditions: TermPolicy = NO_APPROVALS,
) -> TermPlan:
    """Plan a batch of term events, in their order.

    `reserved` gives the reserved indices of each position.
    """
    planner = _Planner(bindings.copy(), reserved, conditions)
    plan = TermPlan()
    for place, change in enumerate(changes):
        try:
            edits = planner.plan(change)
            dropped = isinstance(change, Release | CampaignRelease | Reject)
            plan.counts += Counts(1, int(not dropped), int(dropped))
        except _Stale:
            plan.counts += Counts(1, stale=1)
            plan.stale.append(place)
            continue
        except _Refused as error:
            refusal = Refuse(change.key, change.revision, str(error))
            plan.refused.append(refusal)
            plan.counts += Counts(1, dead=1)
            edits = [refusal]
        planner.note(edits)
        plan.edits += edits
    return plan


def _ending(bound: BindSlot, change: Extend, approved_by: str) -> BindSlot:
    """The binding with another end; an end that nobody had to approve leaves who approved it."""
    return replace(
        bound,
        until_ms=change.until_ms,
        revision=change.revision,
        by=change.by,
        approved_by=approved_by or bound.approved_by,
    )


class _Planner:
    """Plans one change after the other against a state that it takes along."""

    def __init__(
        self, state: Bindings, reserved: Mapping[int, range], conditions: TermPolicy
    ) -> None:
        self._state = state
        self._reserved = reserved
        self._conditions = conditions
        self._occupied = state.occupied()

    def note(self, edits: Sequence[BindingEdit]) -> None:
        """Take planned edits into the state."""
        for edit in edits:
            self._state.edit(edit, self._state.version + 1, 0)
            if isinstance(edit, BindSlot):
                self._occupied.add(Slot(edit.position, edit.index))
            elif isinstance(edit, Deactivate):
                resting = self._state.quarantined.get(edit.binding)
                if resting is not None and not resting.seen:
                    self._occupied.discard(resting.slot)

    def plan(self, change: TermChange) -> list[BindingEdit]:
        """Raises: _Refused, _Stale."""
        if isinstance(change, Approve | Reject):
            return self._decide(change)
        self._refuse_stale(change)
        if isinstance(change, Release):
            return self._release(change)
        if isinstance(change, CampaignRelease):
            return self._release_campaign(change)
        if self._conditions.approvals and not self._takes_back(change):
            return self._propose(change)
        return self._carry_out(change, "")

    def _takes_back(self, change: Proposable) -> bool:
        """Whether it only ends a term sooner, which waits for nobody."""
        if not isinstance(change, Extend):
            return False
        return (change.until_ms or inf) <= (self._bound(change.term).until_ms or inf)

    def _refuse_stale(self, change: TermChange) -> None:
        if isinstance(change, Campaign):
            known = [self._state.newest_revision(bind.term) for bind in change.binds]
            overtaken = all(revision >= change.revision for revision in known)
        elif isinstance(change, CampaignRelease):
            members = self._state.members(change.key)
            overtaken = any(bound.revision >= change.revision for bound in members)
        else:
            overtaken = False
        if overtaken or change.revision <= self._state.newest_revision(change.key):
            raise _Stale

    # Four eyes.

    def _propose(self, change: Proposable) -> list[BindingEdit]:
        if not change.by:
            raise _Refused(
                f"{change.key!r}: says not who proposes it, and terms.approvals in topology.yaml "
                "asks for another to approve it; give data.by (--by)"
            )
        self._carry_out(change, "")  # what could not be carried out now is no proposal
        return [Propose(change.key, change.revision, change)]

    def _decide(self, change: Approve | Reject) -> list[BindingEdit]:
        proposal = self._state.proposals.get(change.key)
        if proposal is None or proposal.revision != change.proposal:
            if self._state.terms.get(change.key, (-1, 0))[0] >= change.proposal:
                raise _Stale
            raise _Refused(
                f"{change.key!r}: no proposal of revision {change.proposal} waits; kae term "
                "proposals lists them"
            )
        if isinstance(change, Reject):
            return [Withdraw(change.key, change.proposal, change.by, change.reason)]
        if not change.by or change.by == proposal.change.by:
            raise _Refused(
                f"{change.key!r}: proposed by {proposal.change.by!r}, approved by {change.by!r}; "
                "another than who proposed it must approve it"
            )
        self._compare(change.key, proposal.change.plan, change.plan)
        return self._carry_out(replace(proposal.change, plan=change.plan), change.by)

    def _compare(self, key: str, proposed: ExpectedItems, now: ExpectedItems) -> None:
        if proposed.hash == now.hash:
            return
        most = self._conditions.tolerance_percent
        if not now.hash or not proposed.hash or proposed.differs_by(now.items) > most:
            raise _Refused(
                f"{key!r}: proposed with plan {proposed.hash or 'none'} of {proposed.items} items, "
                f"approved with plan {now.hash or 'none'} of {now.items}; "
                f"terms.plan_tolerance_percent allows {most:g}. Look at it "
                "again, and propose it anew"
            )

    # Carrying out.

    def _carry_out(self, change: Proposable, approved_by: str) -> list[BindingEdit]:
        if isinstance(change, Campaign):
            return self._bind_campaign(change, approved_by)
        if isinstance(change, Bind):
            return self._bind(change, approved_by)
        bound = self._bound(change.term)
        if isinstance(change, Extend):
            return [_ending(bound, change, approved_by)]
        if isinstance(change, Realias):
            edit = replace(
                bound,
                aliases=change.aliases,
                revision=change.revision,
                by=change.by,
                approved_by=approved_by,
            )
            return [edit]
        selector = self._adjusted(change, bound) if isinstance(change, Adjust) else change.selector
        if selector == bound.selector and not change.plan.hash:
            return [replace(bound, revision=change.revision, by=change.by, approved_by=approved_by)]
        return self._retarget(change, selector, bound, approved_by)

    def _adjusted(self, change: Adjust, bound: BindSlot) -> Selector:
        """The selector of a bound term with single items added, excluded or pinned."""
        selector = bound.selector.adjusted(change.add, change.exclude, change.pins)
        named = len(selector.items) + len(selector.plus) + len(selector.minus)
        if named > self._conditions.items_per_selector:
            raise _Refused(
                f"{change.term!r}: it would name {named} items, terms.items_per_selector in "
                f"topology.yaml allows {self._conditions.items_per_selector}; retarget it to an "
                "expression that selects them"
            )
        size = len(msgspec.msgpack.encode(selector))
        if size > self._conditions.selector_bytes:
            raise _Refused(
                f"{change.term!r}: its selector would have {size} bytes, limits.event_bytes in "
                f"topology.yaml allows {self._conditions.selector_bytes}; retarget it to an "
                "expression that selects them"
            )
        return selector

    def _bind(self, change: Bind, approved_by: str) -> list[BindingEdit]:
        """A bind of a bound term releases the old binding and takes a new slot (ADR 7).

        What has a plan waits until every shard has said how many items it has.
        """
        waits = change.from_ms > change.accepted_ms or bool(change.plan.hash)
        holder = self._state.terms.get(change.term, (-1, 0))[1]
        slot = BindSlot(
            binding=self._state.next_binding,
            term=change.term,
            aliases=change.aliases,
            category=change.category,
            position=change.position,
            index=self._free_index(change.position, change.term),
            selector=change.selector,
            revision=change.revision,
            owner=change.owner,
            reason=change.reason,
            accepted_ms=change.accepted_ms,
            from_ms=change.from_ms,
            until_ms=change.until_ms,
            by=change.by,
            approved_by=approved_by,
            pending=waits,
            plan=change.plan,
        )
        if holder and waits:
            return self._in_place_of(self._state.bound[holder], slot)
        return [*self._deactivated(change.term, change.revision, change.by, REPLACED), slot]

    def _retarget(
        self, change: Retarget | Adjust, selector: Selector, bound: BindSlot, approved_by: str
    ) -> list[BindingEdit]:
        slot = replace(
            bound,
            binding=self._state.next_binding,
            index=self._free_index(bound.position, change.term),
            selector=selector,
            revision=change.revision,
            accepted_ms=change.accepted_ms,
            by=change.by,
            approved_by=approved_by,
            pending=True,
            replaces=0,
            plan=change.plan,
        )
        return self._in_place_of(bound, slot)

    def _in_place_of(self, old: BindSlot, new: BindSlot) -> list[BindingEdit]:
        """The old binding stays until every shard has attached the new one."""
        if old.binding not in self._state.pending:
            return [replace(new, replaces=old.binding)]
        given_up = Deactivate(old.binding, old.term, new.revision, REPLACED, new.by)
        return [given_up, replace(new, replaces=old.replaces)]

    def _bind_campaign(self, change: Campaign, approved_by: str) -> list[BindingEdit]:
        held = [bind.term for bind in change.binds if self._state.terms.get(bind.term, (-1, 0))[1]]
        if held:
            raise _Refused(
                f"{change.key!r}: {len(held)} of its {len(change.binds)} terms are bound: "
                f"{', '.join(map(repr, held[:5]))}. Release them, or leave them out"
            )
        wanted: dict[int, list[str]] = {}
        for bind in change.binds:
            wanted.setdefault(bind.position, []).append(bind.term)
        indices = {p: iter(self._free_indices(p, terms)) for p, terms in wanted.items()}
        edits: list[BindingEdit] = []
        for bind in change.binds:
            edits.append(
                BindSlot(
                    binding=self._state.next_binding + len(edits),
                    term=bind.term,
                    aliases=bind.aliases,
                    category=bind.category,
                    position=bind.position,
                    index=next(indices[bind.position]),
                    selector=bind.selector,
                    revision=change.revision,
                    owner=bind.owner,
                    reason=bind.reason,
                    accepted_ms=bind.accepted_ms,
                    from_ms=bind.from_ms,
                    until_ms=bind.until_ms,
                    by=change.by,
                    approved_by=approved_by,
                    campaign=change.key,
                    pending=True,
                    plan=change.plan,
                )
            )
        return edits

    def _release(self, change: Release) -> list[BindingEdit]:
        edits = self._deactivated(change.term, change.revision, change.by)
        return edits or [Deactivate(0, change.term, change.revision, by=change.by)]

    def _release_campaign(self, change: CampaignRelease) -> list[BindingEdit]:
        proposal = self._state.proposals.get(change.key)
        edits: list[BindingEdit] = [
            edit
            for bound in self._state.members(change.key)
            for edit in self._deactivated(bound.term, change.revision, change.by)
        ]
        if proposal is not None:
            edits.append(Withdraw(change.key, proposal.revision, change.by, "released"))
        if not edits:
            raise _Refused(
                f"{change.key!r}: none of its terms is bound; kae term list shows what is"
            )
        return edits

    def _deactivated(self, term: str, revision: int, by: str, cause: str = "") -> list[BindingEdit]:
        """The end of a term's binding, and of the one that it was to replace."""
        holder = self._state.terms.get(term, (-1, 0))[1]
        if not holder:
            return []
        bindings = (holder, self._state.bound[holder].replaces)
        return [
            Deactivate(binding, term, revision, cause, by)
            for binding in bindings
            if binding in self._state.bound
        ]

    def _bound(self, term: str) -> BindSlot:
        holder = self._state.terms.get(term, (-1, 0))[1]
        if not holder:
            raise _Refused(f"{term!r}: is not bound; kae term bind binds it")
        return self._state.bound[holder]

    def _free_index(self, position: int, term: str) -> int:
        return self._free_indices(position, [term])[0]

    def _free_indices(self, position: int, terms: Sequence[str]) -> list[int]:
        """One for each of the terms, the lowest first.

        Raises: _Refused.
        """
        reserved = self._reserved[position]
        free = (index for index in reserved if Slot(position, index) not in self._occupied)
        found = list(islice(free, len(terms)))
        if len(found) < len(terms):
            rest_ms = self._conditions.quarantine_ms
            ledger = ledger_of(self._state, position, len(reserved), rest_ms)
            raise _Refused(
                no_slot_cause(terms, position, ledger, soonest_to_end(self._state, position))
            )
        return found
