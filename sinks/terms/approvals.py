"""Approval by a second person: what is proposed, approved and rejected. Pure."""

from math import inf

from msgspec.structs import replace

from kae.sinks.log.edits import BindingEdit, Propose, Withdraw
from kae.sinks.log.term_changes import Approve, ExpectedItems, Extend, Proposable, Reject
from kae.sinks.terms.carry_out import carry_out
from kae.sinks.terms.draft import BindingsDraft, ChangeRefused


class StaleChange(Exception):
    """A change that is not newer than what is known."""


def needs_approval(draft: BindingsDraft, change: Proposable) -> bool:
    """Whether a change becomes a proposal; an end that comes sooner never does.

    Raises: ChangeRefused.
    """
    if not draft.policy.approvals:
        return False
    if not isinstance(change, Extend):
        return True
    return (change.until_ms or inf) > (draft.bound(change.term).until_ms or inf)


def propose(draft: BindingsDraft, change: Proposable) -> list[BindingEdit]:
    """Keep a change until another approves it.

    Raises: ChangeRefused.
    """
    if not change.by:
        raise ChangeRefused(
            f"{change.key!r}: does not say who proposes it, and terms.approvals in topology.yaml "
            "asks for another to approve it; give data.by (--by)"
        )
    carry_out(draft, change, "")  # what cannot be carried out now is refused now
    return [Propose(change.key, change.revision, change)]


def decide(draft: BindingsDraft, decision: Approve | Reject) -> list[BindingEdit]:
    """Carry out or withdraw what is proposed.

    Raises: ChangeRefused, StaleChange.
    """
    key = decision.key
    proposal = draft.bindings.proposals.get(key)
    if proposal is None or proposal.revision != decision.proposal:
        if draft.bindings.terms.get(key, (-1, 0))[0] >= decision.proposal:
            raise StaleChange
        raise ChangeRefused(
            f"{key!r}: no proposal of revision {decision.proposal} waits; kae term "
            "proposals lists them"
        )
    if isinstance(decision, Reject):
        return [Withdraw(key, decision.proposal, decision.by, decision.reason)]
    change = proposal.change
    if not decision.by or decision.by == change.by:
        raise ChangeRefused(
            f"{key!r}: proposed by {change.by!r}, approved by {decision.by!r}; "
            "another than who proposed it must approve it"
        )
    _refuse_other_plan(draft, key, change.plan, decision.plan)
    return carry_out(draft, replace(change, plan=decision.plan), decision.by)


def _refuse_other_plan(
    draft: BindingsDraft, key: str, proposed: ExpectedItems, approved: ExpectedItems
) -> None:
    if proposed.hash == approved.hash:
        return
    tolerated = draft.policy.tolerance_percent
    both = proposed.hash and approved.hash
    if not both or proposed.differs_by(approved.items) > tolerated:
        raise ChangeRefused(
            f"{key!r}: proposed with plan {proposed.hash or 'none'} of {proposed.items} items, "
            f"approved with plan {approved.hash or 'none'} of {approved.items}; "
            f"terms.plan_tolerance_percent allows {tolerated:g}. Look at it "
            "again, and propose it anew"
        )
