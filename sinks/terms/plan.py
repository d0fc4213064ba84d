"""Planning terms: what a batch of term events does to the bindings log. Pure.

Terms are ordered by revision; of one revision the first counts. A change that cannot be carried out
becomes a Refuse, and changes nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from kae.sinks.log.edits import BindingEdit, Counts, Refuse
from kae.sinks.log.term_changes import (
    Approve,
    Bind,
    Campaign,
    CampaignRelease,
    Reject,
    Release,
    TermChange,
)
from kae.sinks.terms.approvals import StaleChange, decide, needs_approval, propose
from kae.sinks.terms.bindings import Bindings
from kae.sinks.terms.carry_out import (
    carry_out,
    refuse_other_spelling,
    release,
    release_campaign,
)
from kae.sinks.terms.draft import NO_APPROVALS, BindingsDraft, ChangeRefused, TermPolicy


@dataclass(slots=True)
class TermPlan:
    """What a batch of term events does; `refused` and `stale` go by their places in the batch."""

    edits: list[BindingEdit] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    refused: dict[int, Refuse] = field(default_factory=dict)
    stale: list[int] = field(default_factory=list)

    def without_stale(self) -> "TermPlan":
        """The plan of the same batch without its stale events."""
        read = self.counts.read - len(self.stale)
        return replace(
            self, counts=msgspec.structs.replace(self.counts, read=read, stale=0), stale=[]
        )


def plan_terms(
    bindings: Bindings,
    changes: Sequence[TermChange],
    reserved: Mapping[int, range],
    policy: TermPolicy = NO_APPROVALS,
) -> TermPlan:
    """Plan a batch of term events, in their order.

    `reserved` has the reserved indices of each position.
    """
    draft = BindingsDraft(bindings, reserved, policy)
    plan = TermPlan()
    for place, change in enumerate(changes):
        try:
            edits = _edits_of(draft, change)
            dropped = isinstance(change, Release | CampaignRelease | Reject)
            plan.counts += Counts(1, int(not dropped), int(dropped))
        except StaleChange:
            plan.counts += Counts(1, stale=1)
            plan.stale.append(place)
            continue
        except ChangeRefused as error:
            refusal = Refuse(change.key, change.revision, str(error))
            plan.refused[place] = refusal
            plan.counts += Counts(1, dead=1)
            edits = [refusal]
        draft.apply(edits)
        plan.edits += edits
    return plan


def _edits_of(draft: BindingsDraft, change: TermChange) -> list[BindingEdit]:
    """Raises: ChangeRefused, StaleChange."""
    if isinstance(change, Approve | Reject):
        return decide(draft, change)
    if _is_stale(draft.bindings, change):
        raise StaleChange
    match change:
        case Release():
            return release(draft, change)
        case CampaignRelease():
            return release_campaign(draft, change)
    if isinstance(change, Bind):
        refuse_other_spelling(draft, change)
    if needs_approval(draft, change):
        return propose(draft, change)
    return carry_out(draft, change, "")


def _is_stale(bindings: Bindings, change: TermChange) -> bool:
    """Whether something as new is known; of a campaign that may be known by its terms alone."""
    if change.revision <= bindings.newest_revision(change.key):
        return True
    match change:
        case Campaign():
            known = [bindings.newest_revision(bind.term) for bind in change.binds]
            return all(revision >= change.revision for revision in known)
        case CampaignRelease():
            members = bindings.members(change.key)
            return any(bound.revision >= change.revision for bound in members)
    return False
