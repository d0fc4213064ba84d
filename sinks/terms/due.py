"""What is due in the bindings log by itself: frees, expiries, activations. Pure.

All of it follows from the fold of the log, the time, and how far the shards are, so that a new
owner of the log goes on where the last one ended.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from kae.sinks.log.edits import (
    EXPIRED,
    GIVEN_UP,
    REPLACED,
    Activate,
    BindingEdit,
    BindSlot,
    Deactivate,
    FreeSlot,
    Refuse,
)
from kae.sinks.log.term_changes import ExpectedItems
from kae.sinks.terms.bindings import Bindings


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


@dataclass(frozen=True, slots=True)
class ShardStates:
    """How far the shards are, by shard, as they have said.

    `reached` is the bindings version that each has applied; `attached` how many items the pending
    bindings with a plan have there, by binding.
    """

    reached: Mapping[int, int]
    attached: Mapping[int, Mapping[int, int]] = field(default_factory=dict)

    def has(self, shard: int, version: int, planned: Iterable[int]) -> bool:
        """Whether a shard has applied a version and said what its planned bindings have."""
        told = self.attached.get(shard, {})
        return self.reached.get(shard, 0) >= version and all(one in told for one in planned)

    def items(self, bindings: Iterable[int]) -> int:
        """How many items some planned bindings have in all shards together."""
        return sum(told.get(one, 0) for one in bindings for told in self.attached.values())


def plan_due(
    bindings: Bindings,
    standing: ShardStates,
    shards: int,
    now_ms: int,
    attach_ms: int,
    tolerance_percent: float = 0.0,
) -> list[BindingEdit]:
    """End what has expired; activate what every shard has attached; give up what waits too long.

    A pending set that is not attached everywhere `attach_ms` after it was bound is given up as one,
    and so is one whose items differ from those of its plan by more than is tolerated.
    """
    edits: list[BindingEdit] = []
    for bound in bindings.bound.values():
        if bound.until_ms and bound.until_ms <= now_ms:
            revision = bindings.terms[bound.term][0]
            edits.append(Deactivate(bound.binding, bound.term, revision, EXPIRED))
    ended = {edit.binding for edit in edits if isinstance(edit, Deactivate)}
    for together in _waiting(bindings, ended).values():
        version = max(bindings.bound_at[bound.binding][0] for bound in together)
        bound_ms = min(bindings.bound_at[bound.binding][1] for bound in together)
        planned = [bound.binding for bound in together if bound.plan.hash]
        missing = [shard for shard in range(shards) if not standing.has(shard, version, planned)]
        if missing:
            if now_ms - bound_ms >= attach_ms:
                edits += _given_up(bindings, together, _silent(missing, now_ms - bound_ms))
            continue
        plan, items = together[0].plan, standing.items(planned)
        if plan.hash and plan.differs_by(items) > tolerance_percent:
            edits += _given_up(bindings, together, _changed(plan, items, tolerance_percent))
        else:
            edits += _activated(bindings, together, now_ms)
    return edits


def _silent(missing: list[int], waited_ms: int) -> str:
    shards = ", ".join(f"shard {shard}" for shard in missing)
    return (
        f"given up after {waited_ms / 1000:g} s: {shards} did not attach it "
        f"(terms.attach_seconds); nothing of it was ever visible. See kae status, then send it "
        "again with a higher revision"
    )


def _changed(plan: ExpectedItems, items: int, tolerance_percent: float) -> str:
    return (
        f"given up: planned with {plan.items} items (plan {plan.hash}), it has {items} now, and "
        f"terms.plan_tolerance_percent allows {tolerance_percent:g}; nothing of it was ever "
        "visible. Preview it again (kae term preview), and send it with the new plan"
    )


def _waiting(bindings: Bindings, ended: set[int]) -> dict[str | int, list[BindSlot]]:
    """What waits for an Activate, by what becomes active as one."""
    sets: dict[str | int, list[BindSlot]] = {}
    for binding in sorted(bindings.pending - ended):
        bound = bindings.bound[binding]
        sets.setdefault(_set_of(bound), []).append(bound)
    return sets


def _set_of(bound: BindSlot) -> str | int:
    """A retargeted member of a campaign becomes active by itself."""
    return bound.campaign if bound.campaign and not bound.replaces else bound.binding


def _activated(bindings: Bindings, together: list[BindSlot], now_ms: int) -> list[BindingEdit]:
    """Ahead of their time, which readers mind: no owner of this log need live at that moment.

    What another makes room for stays until then.
    """
    edits: list[BindingEdit] = []
    for bound in together:
        if bound.replaces in bindings.bound:
            if now_ms < bound.from_ms:
                continue
            edits.append(Deactivate(bound.replaces, bound.term, bound.revision, REPLACED, bound.by))
        edits.append(Activate(bound.binding))
    return edits


def _given_up(bindings: Bindings, together: list[BindSlot], cause: str) -> list[BindingEdit]:
    edits: list[BindingEdit] = []
    for bound in together:
        edits.append(Deactivate(bound.binding, bound.term, bound.revision, GIVEN_UP))
        old = bindings.bound.get(bound.replaces)
        if old is not None:
            edits.append(replace(old, revision=bound.revision))
    first = together[0]
    keys = dict.fromkeys([first.campaign or first.term, *(bound.term for bound in together)])
    edits += [Refuse(key, first.revision, f"{key!r}: {cause}") for key in keys]
    return edits
