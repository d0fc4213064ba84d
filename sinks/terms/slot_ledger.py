"""The slot ledger: how the reserved slots of a position are used. Pure.

    used          a term holds it, visible or not yet
    quarantined   a term held it, and readers may still show it
    free          it may be bound now

At any time used + quarantined + free = reserved.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf

from kae.sinks.log.edits import BindSlot
from kae.sinks.terms.bindings import Bindings

# How many terms a refusal names.
NAMED = 3


@dataclass(frozen=True, slots=True)
class SlotLedger:
    """The slots of one position.

    `next_free_ms` is when the first quarantine is over, None without any; the slot is free then if
    every shard has detached it.
    """

    reserved: int
    used: int
    quarantined: int
    next_free_ms: int | None

    @property
    def free(self) -> int:
        return self.reserved - self.used - self.quarantined


def ledger_of(bindings: Bindings, position: int, reserved: int, quarantine_ms: int) -> SlotLedger:
    """The ledger of a position that has `reserved` slots."""
    used = sum(bound.position == position for bound in bindings.bound.values())
    released = [
        q.at_ms
        for q in bindings.quarantined.values()
        if q.was_active and q.slot.position == position
    ]
    return SlotLedger(
        reserved, used, len(released), min(released) + quarantine_ms if released else None
    )


def soonest_to_end(bindings: Bindings, position: int) -> list[BindSlot]:
    """The terms of a position: those that end soonest first, then the oldest without an end."""
    held = (bound for bound in bindings.bound.values() if bound.position == position)
    return sorted(held, key=lambda one: (one.until_ms or inf, bindings.bound_at[one.binding]))


def no_slot_cause(
    terms: Sequence[str], position: int, ledger: SlotLedger, ending: Iterable[BindSlot]
) -> str:
    """Why terms cannot be bound: what is free, what is free when, and which terms may go."""
    quarantine = ""
    if ledger.next_free_ms is not None:
        until = _rfc3339(ledger.next_free_ms)
        quarantine = f", {ledger.quarantined} in quarantine, the first until {until}"
    words = ", ".join(map(repr, terms[:NAMED])) + ", ..." * (len(terms) > NAMED)
    candidates = ", ".join(_candidate(bound) for bound in list(ending)[:NAMED])
    release = f"Release a term, for example {candidates}" if candidates else "Wait"
    return (
        f"CodebookFull: position {position}: {ledger.free} of {ledger.reserved} free{quarantine}; "
        f"cannot bind {words}. {release}, or raise groups[].reserved in topology.yaml (a new "
        "generation). kae term capacity has the whole ledger"
    )


def _candidate(bound: BindSlot) -> str:
    if bound.until_ms:
        return f"{bound.term!r} (ends {_rfc3339(bound.until_ms)})"
    return f"{bound.term!r} (bound {_rfc3339(bound.accepted_ms)}, without an end)"


def _rfc3339(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
