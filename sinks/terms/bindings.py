"""The bindings: which term holds which reserved slot, as a fold of the bindings log. Pure."""

from copy import copy
from dataclasses import dataclass, field
from typing import Self

from kae.encoders.categories import Slot
from kae.sinks.log.edits import (
    Activate,
    BindSlot,
    Counts,
    Deactivate,
    Delta,
    FreeSlot,
    Propose,
    Refuse,
    SourceRange,
    Withdraw,
    decode_edit,
)
from kae.sinks.log.fold import LogState


@dataclass(frozen=True, slots=True)
class QuarantinedSlot:
    """A slot whose term is released but which may not be bound again yet.

    A slot that was never active was seen by no reader, so it may be bound at once.
    """

    slot: Slot
    version: int
    at_ms: int
    was_active: bool = True


# How many of the newest refusals are kept: receipts show them, and no decision depends on them.
REFUSALS_KEPT = 1000


@dataclass(slots=True)
class Bindings:
    """The fold of the bindings log.

    The reserved slots bound the size of everything but `terms` and `proposals`. `terms` keeps the
    revision of every term that was ever bound or released, so that its old events stay stale.
    """

    version: int = 0
    source: SourceRange = field(default_factory=SourceRange)
    counts: Counts = field(default_factory=Counts)
    bound: dict[int, BindSlot] = field(default_factory=dict)
    pending: set[int] = field(default_factory=set)  # of those bound, which wait for an Activate
    terms: dict[str, tuple[int, int]] = field(default_factory=dict)  # term -> revision, binding
    proposals: dict[str, Propose] = field(default_factory=dict)
    refused: dict[str, Refuse] = field(default_factory=dict)
    quarantined: dict[int, QuarantinedSlot] = field(default_factory=dict)
    bound_at: dict[int, tuple[int, int]] = field(default_factory=dict)  # binding -> version, ms
    changed_at: dict[int, int] = field(default_factory=dict)  # binding -> newest version of it
    activated_ms: dict[int, int] = field(default_factory=dict)
    next_binding: int = 1

    def copy(self) -> Self:
        """A copy whose dictionaries may be changed while readers hold the original."""
        twin = copy(self)
        twin.bound = dict(self.bound)
        twin.pending = set(self.pending)
        twin.terms = dict(self.terms)
        twin.proposals = dict(self.proposals)
        twin.refused = dict(self.refused)
        twin.quarantined = dict(self.quarantined)
        twin.bound_at = dict(self.bound_at)
        twin.changed_at = dict(self.changed_at)
        twin.activated_ms = dict(self.activated_ms)
        return twin

    def apply(self, delta: Delta, log: LogState) -> None:
        """Fold one accepted delta."""
        for raw in delta.edits:
            self.edit(decode_edit(raw), delta.version, delta.at_ms)
        self.version = log.version
        self.source = delta.source
        self.counts = self.counts + delta.counts

    def edit(self, edit: object, version: int, at_ms: int) -> None:
        """Fold one edit of a delta."""
        match edit:
            case BindSlot():
                self._bind(edit, version, at_ms)
            case Activate():
                self.pending.discard(edit.binding)
                self.activated_ms[edit.binding] = at_ms
                self.changed_at[edit.binding] = version
            case Deactivate():
                self._deactivate(edit, version, at_ms)
            case FreeSlot():
                self.quarantined.pop(edit.binding, None)
            case Refuse():
                self.refused.pop(edit.term, None)
                self.refused[edit.term] = edit
                if len(self.refused) > REFUSALS_KEPT:
                    del self.refused[next(iter(self.refused))]
            case Propose():
                self.proposals[edit.key] = edit
                self.refused.pop(edit.key, None)
            case Withdraw():
                self.proposals.pop(edit.key, None)

    def _bind(self, edit: BindSlot, version: int, at_ms: int) -> None:
        if edit.binding not in self.bound:
            self.bound_at[edit.binding] = (version, at_ms)
            if edit.pending:
                self.pending.add(edit.binding)
        self.bound[edit.binding] = edit
        self.changed_at[edit.binding] = version
        self.terms[edit.term] = (edit.revision, edit.binding)
        self.refused.pop(edit.term, None)
        self.next_binding = max(self.next_binding, edit.binding + 1)
        self._end_proposal(edit.term, edit.revision)
        if edit.campaign:
            self._end_proposal(edit.campaign, edit.revision)

    def _deactivate(self, edit: Deactivate, version: int, at_ms: int) -> None:
        revision, holder = self.terms.get(edit.term, (-1, 0))
        # The end of a replaced binding leaves the term to the one that replaces it.
        holder = 0 if holder == edit.binding else holder
        self.terms[edit.term] = (max(revision, edit.revision), holder)
        self._end_proposal(edit.term, edit.revision)
        bound = self.bound.pop(edit.binding, None)
        if bound is not None:
            self.quarantined[edit.binding] = QuarantinedSlot(
                Slot(bound.position, bound.index), version, at_ms, edit.binding not in self.pending
            )
        self.pending.discard(edit.binding)
        for known in (self.bound_at, self.changed_at, self.activated_ms):
            known.pop(edit.binding, None)

    def _end_proposal(self, key: str, revision: int) -> None:
        """A proposal ends when it is carried out, or when a newer change overtakes it."""
        proposal = self.proposals.get(key)
        if proposal is not None and proposal.revision <= revision:
            del self.proposals[key]

    def occupied(self) -> set[Slot]:
        """The reserved slots that may not be bound now."""
        bound = {Slot(b.position, b.index) for b in self.bound.values()}
        return bound | {q.slot for q in self.quarantined.values() if q.was_active}

    def visible(self, at_ms: int, reached: int) -> dict[int, BindSlot]:
        """The bindings that readers may see at a time.

        `reached` is the version of this log that every shard has attached in their view: what was
        bound as pending is visible in all shards or in none.
        """
        return {
            binding: bound
            for binding, bound in self.bound.items()
            if binding not in self.pending
            and bound.is_valid_at(at_ms)
            and (not bound.pending or self.bound_at[binding][0] <= reached)
        }

    def next_change_after(self, at_ms: int) -> int | None:
        """The next time at which a term begins or ends; None if none does."""
        return min(
            (
                time_ms
                for bound in self.bound.values()
                for time_ms in (bound.from_ms, bound.until_ms)
                if time_ms > at_ms
            ),
            default=None,
        )

    def pending_with_plan(self) -> set[int]:
        """The pending bindings whose items are compared with those of a plan."""
        return {binding for binding in self.pending if self.bound[binding].plan.hash}

    def holder_of(self, term: str) -> BindSlot | None:
        """The newest binding of a term, active or pending; None if it is not bound."""
        return self.bound.get(self.terms.get(term, (-1, 0))[1])

    def members(self, campaign: str) -> list[BindSlot]:
        """The bindings of a campaign, by its key."""
        return [bound for bound in self.bound.values() if bound.campaign == campaign]

    def newest_revision(self, key: str) -> int:
        """The revision below which events of a term or a campaign are stale; -1 for none."""
        proposal = self.proposals.get(key)
        known = self.terms.get(key, (-1, 0))[0]
        return max(known, proposal.revision if proposal else -1)
