"""What is due in the bindings log by itself: frees, expiries, activations. Pure.

All of it follows from the fold of the log, the time, and how far the shards are, so that a new
owner of the log goes on where the last one ended.
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from kae.sinks.bindings import Bindings
from kae.sinks.edits import (
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


def plan_due(
    bindings: Bindings, reached: Mapping[int, int], shards: int, now_ms: int, attach_ms: int
) -> list[BindingEdit]:
    """End what has expired; activate what every shard has attached; give up what waits too long.

    `reached` is the bindings version that each shard has applied; a pending set that is not
    attached everywhere `attach_ms` after it was bound is given up as one.
    """
    edits: list[BindingEdit] = []
    for bound in bindings.bound.values():
        if bound.until_ms and bound.until_ms <= now_ms:
            revision = bindings.terms[bound.term][0]
            edits.append(Deactivate(bound.binding, bound.term, revision, EXPIRED))
    ended = {edit.binding for edit in edits if isinstance(edit, Deactivate)}
    for together in _waiting(bindings, ended).values():
        version = max(bindings.bound_at[bound.binding][0] for bound in together)
        missing = [shard for shard in range(shards) if reached.get(shard, 0) < version]
        bound_ms = min(bindings.bound_at[bound.binding][1] for bound in together)
        if not missing:
            edits += _activated(bindings, together, now_ms)
        elif now_ms - bound_ms >= attach_ms:
            edits += _given_up(bindings, together, missing, now_ms - bound_ms)
    return edits


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


def _given_up(
    bindings: Bindings, together: list[BindSlot], missing: list[int], waited_ms: int
) -> list[BindingEdit]:
    edits: list[BindingEdit] = []
    for bound in together:
        edits.append(Deactivate(bound.binding, bound.term, bound.revision, GIVEN_UP))
        old = bindings.bound.get(bound.replaces)
        if old is not None:
            edits.append(replace(old, revision=bound.revision))
    first = together[0]
    shards = ", ".join(f"shard {shard}" for shard in missing)
    cause = (
        f"given up after {waited_ms / 1000:g} s: {shards} did not attach it "
        f"(terms.attach_seconds); nothing of it was ever visible. See kae status, then send it "
        "again with a higher revision"
    )
    keys = dict.fromkeys([first.campaign or first.term, *(bound.term for bound in together)])
    edits += [Refuse(key, first.revision, f"{key!r}: {cause}") for key in keys]
    return edits
