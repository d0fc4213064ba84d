"""The edits that are due without a term event: frees, expiries, activations. Pure.

All of them follow from the fold of the log, the time and the progress of the shards, so a new owner
of the log continues where the last one stopped.
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

    `reached` has the bindings versions that shards have applied, one for each that has reported.
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
    """The progress that the shards have reported, by shard.

    `reached` is the bindings version that each has applied; `attached` counts the items that each
    has for the pending bindings with a plan, by binding.
    """

    reached: Mapping[int, int]
    attached: Mapping[int, Mapping[int, int]] = field(default_factory=dict)

    def has_attached(self, shard: int, version: int, with_plan: Iterable[int]) -> bool:
        """Whether a shard has applied a version and counted the items of bindings with a plan."""
        counted = self.attached.get(shard, {})
        return self.reached.get(shard, 0) >= version and all(one in counted for one in with_plan)

    def items(self, bindings: Iterable[int]) -> int:
        """How many items bindings with a plan have in all shards together."""
        return sum(counted.get(one, 0) for one in bindings for counted in self.attached.values())


def plan_due(
    bindings: Bindings,
    states: ShardStates,
    shards: int,
    now_ms: int,
    attach_ms: int,
    tolerance_percent: float = 0.0,
) -> list[BindingEdit]:
    """End what has expired; activate what every shard has attached; give up what waits too long.

    Pending bindings that become active together are given up together: when a shard has not
    attached them `attach_ms` after they were bound, or when their items differ from those of the
    plan by more than the tolerance.
    """
    edits: list[BindingEdit] = []
    for bound in bindings.bound.values():
        if bound.until_ms and bound.until_ms <= now_ms:
            revision = bindings.terms[bound.term][0]
            edits.append(Deactivate(bound.binding, bound.term, revision, EXPIRED))
    ended = {edit.binding for edit in edits if isinstance(edit, Deactivate)}
    for together in _pending_sets(bindings, ended):
        version = max(bindings.bound_at[bound.binding][0] for bound in together)
        bound_ms = min(bindings.bound_at[bound.binding][1] for bound in together)
        with_plan = [bound.binding for bound in together if bound.plan.hash]
        missing = [s for s in range(shards) if not states.has_attached(s, version, with_plan)]
        if missing:
            if now_ms - bound_ms >= attach_ms:
                edits += _given_up(bindings, together, _not_attached(missing, now_ms - bound_ms))
            continue
        plan, items = together[0].plan, states.items(with_plan)
        if plan.hash and plan.differs_by(items) > tolerance_percent:
            edits += _given_up(
                bindings, together, _differs_from_plan(plan, items, tolerance_percent)
            )
        else:
            edits += _activated(bindings, together, now_ms)
    return edits


def _not_attached(missing: list[int], waited_ms: int) -> str:
    shards = ", ".join(f"shard {shard}" for shard in missing)
    return (
        f"given up after {waited_ms / 1000:g} s: {shards} did not attach it "
        f"(terms.attach_seconds); nothing of it was ever visible. See kae status, then send it "
        "again with a higher revision"
    )


def _differs_from_plan(plan: ExpectedItems, items: int, tolerance_percent: float) -> str:
    return (
        f"given up: planned with {plan.items} items (plan {plan.hash}), it has {items} now, and "
        f"terms.plan_tolerance_percent allows {tolerance_percent:g}; nothing of it was ever "
        "visible. Preview it again (kae term preview), and send it with the new plan"
    )


def _pending_sets(bindings: Bindings, ended: set[int]) -> Iterable[list[BindSlot]]:
    """The pending bindings, those that become active together in one list."""
    sets: dict[str | int, list[BindSlot]] = {}
    for binding in sorted(bindings.pending - ended):
        bound = bindings.bound[binding]
        # A retargeted member of a campaign becomes active by itself.
        key = bound.campaign if bound.campaign and not bound.replaces else bound.binding
        sets.setdefault(key, []).append(bound)
    return sets.values()


def _activated(bindings: Bindings, together: list[BindSlot], now_ms: int) -> list[BindingEdit]:
    """Activate bindings, also ahead of their time: readers compare it with their own clock, so
    no owner of this log has to be alive at that moment.

    A binding that replaces another waits for its time, and the other ends with it.
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
