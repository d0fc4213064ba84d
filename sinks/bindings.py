"""The bindings: which term holds which reserved slot, as a fold of the bindings log. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kae.encoders.categories import Slot
from kae.encoders.selector import Selector
from kae.sinks.edits import (
    Activate,
    BindingEdit,
    BindSlot,
    Counts,
    Deactivate,
    Delta,
    FreeSlot,
    Refuse,
    Source,
    decode_edit,
)
from kae.sinks.fold import LogState


@dataclass(frozen=True, slots=True)
class Bind:
    """A request to bind a term."""

    term: str
    revision: int
    aliases: tuple[str, ...]
    category: int
    position: int
    selector: Selector
    owner: str
    reason: str
    accepted_ms: int


@dataclass(frozen=True, slots=True)
class Release:
    """A request to release a term."""

    term: str
    revision: int


TermChange = Bind | Release


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A slot whose term is released but which may not be bound again yet."""

    slot: Slot
    version: int
    at_ms: int


# The refusals that are remembered, the newest ones: for receipts, and for nothing that is decided.
REFUSALS_KEPT = 1000


@dataclass(slots=True)
class Bindings:
    """The fold of the bindings log.

    All but `terms` is bounded by the reserved slots. `terms` remembers the revision of every term
    that was ever bound or released, so that an old event of it stays stale.
    """

    version: int = 0
    source: Source = field(default_factory=Source)
    counts: Counts = field(default_factory=Counts)
    active: dict[int, BindSlot] = field(default_factory=dict)
    terms: dict[str, tuple[int, int]] = field(default_factory=dict)  # term -> revision, binding
    refused: dict[str, Refuse] = field(default_factory=dict)
    quarantined: dict[int, Quarantined] = field(default_factory=dict)
    bound_at: dict[int, tuple[int, int]] = field(default_factory=dict)  # binding -> version, ms
    next_binding: int = 1

    def apply(self, delta: Delta, log: LogState) -> None:
        """Fold one accepted delta."""
        for raw in delta.edits:
            self._edit(decode_edit(raw), delta)
        self.version = log.version
        self.source = delta.source
        self.counts = self.counts + delta.counts

    def _edit(self, edit: object, delta: Delta) -> None:
        match edit:
            case BindSlot():
                self.active[edit.binding] = edit
                self.terms[edit.term] = (edit.revision, edit.binding)
                self.bound_at[edit.binding] = (delta.version, delta.at_ms)
                self.refused.pop(edit.term, None)
                self.next_binding = max(self.next_binding, edit.binding + 1)
            case Deactivate():
                bound = self.active.pop(edit.binding, None)
                self.bound_at.pop(edit.binding, None)
                self.terms[edit.term] = (edit.revision, 0)
                if bound is not None:
                    self.quarantined[edit.binding] = Quarantined(
                        Slot(bound.position, bound.index), delta.version, delta.at_ms
                    )
            case FreeSlot():
                self.quarantined.pop(edit.binding, None)
            case Refuse():
                self.refused.pop(edit.term, None)
                self.refused[edit.term] = edit
                if len(self.refused) > REFUSALS_KEPT:
                    del self.refused[next(iter(self.refused))]
            case Activate():
                pass  # a single term is active with its BindSlot

    def occupied(self) -> set[Slot]:
        """The reserved slots that may not be bound now."""
        bound = {Slot(b.position, b.index) for b in self.active.values()}
        return bound | {q.slot for q in self.quarantined.values()}


@dataclass(slots=True)
class TermPlan:
    """What a batch of term events does to the bindings log."""

    edits: list[BindingEdit] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    refused: list[Refuse] = field(default_factory=list)


def plan_terms(
    bindings: Bindings, changes: Sequence[TermChange], reserved: Mapping[int, range]
) -> TermPlan:
    """Plan a batch of term events, in their order.

    Terms are ordered by revision; of one revision the first counts. A bind of a bound term releases
    the old binding and takes a new slot, so no reader ever sees half of a change. `reserved` gives
    the reserved indices of each position.
    """
    known = dict(bindings.terms)
    occupied = bindings.occupied()
    next_binding = bindings.next_binding
    plan = TermPlan()
    put = dropped = stale = dead = 0
    for change in changes:
        revision, holder = known.get(change.term, (-1, 0))
        if change.revision <= revision:
            stale += 1
            continue
        if isinstance(change, Release):
            plan.edits.append(Deactivate(holder, change.term, change.revision))
            known[change.term] = (change.revision, 0)
            dropped += 1
            continue
        index = next(
            (i for i in reserved[change.position] if Slot(change.position, i) not in occupied), None
        )
        if index is None:
            refusal = Refuse(
                change.term,
                change.revision,
                f"CodebookFull: position {change.position}: all {len(reserved[change.position])} "
                f"reserved slots are bound or in quarantine; cannot bind {change.term!r}. "
                "Release a term, or raise groups[].reserved in topology.yaml (a new generation)",
            )
            plan.edits.append(refusal)
            plan.refused.append(refusal)
            dead += 1
            continue
        if holder:
            plan.edits.append(Deactivate(holder, change.term, change.revision))
        occupied.add(Slot(change.position, index))
        known[change.term] = (change.revision, next_binding)
        plan.edits.append(_bind(change, next_binding, index))
        next_binding += 1
        put += 1
    plan.counts = Counts(len(changes), put, dropped, stale, dead)
    return plan


def _bind(change: Bind, binding: int, index: int) -> BindSlot:
    return BindSlot(
        binding=binding,
        term=change.term,
        aliases=change.aliases,
        category=change.category,
        position=change.position,
        index=index,
        selector=change.selector,
        revision=change.revision,
        owner=change.owner,
        reason=change.reason,
        accepted_ms=change.accepted_ms,
    )


def plan_frees(
    bindings: Bindings, reached: Iterable[int], shards: int, now_ms: int, quarantine_ms: int
) -> list[BindingEdit]:
    """Free the slots that every shard has detached and whose quarantine is over.

    `reached` are the bindings versions that the shards have applied, one for each shard known.
    """
    versions = list(reached)
    lowest = min(versions) if len(versions) == shards else 0
    return [
        FreeSlot(binding, q.slot.position, q.slot.index)
        for binding, q in sorted(bindings.quarantined.items())
        if q.version <= lowest and now_ms - q.at_ms >= quarantine_ms
    ]
