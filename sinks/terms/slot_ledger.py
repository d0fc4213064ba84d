"""The slot ledger: what became of the reserved slots of a position. Pure.

    used          a term holds it, visible or not yet
    quarantined   a term held it, and readers may still show it
    free          it may be bound now

used + quarantined + free = reserved, whatever happened before.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf

from kae.sinks.log.edits import BindSlot
from kae.sinks.terms.bindings import Bindings

# Candidates that a refusal names.
NAMED = 3


@dataclass(frozen=True, slots=True)
class SlotLedger:
    """One position. `next_free_ms` is when the first of its quarantines is over; None: none is.

    A slot is free only once every shard has detached it, too.
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
    resting = [
        q.at_ms for q in bindings.quarantined.values() if q.seen and q.slot.position == position
    ]
    return SlotLedger(
        reserved, used, len(resting), min(resting) + quarantine_ms if resting else None
    )


def soonest_to_end(bindings: Bindings, position: int) -> list[BindSlot]:
    """The terms of a position, those that end soonest first, then those that are bound longest."""
    held = (bound for bound in bindings.bound.values() if bound.position == position)
    return sorted(held, key=lambda one: (one.until_ms or inf, bindings.bound_at[one.binding]))


def no_slot_cause(
    terms: Sequence[str], position: int, ledger: SlotLedger, ending: Iterable[BindSlot]
) -> str:
    """Why terms cannot be bound: what is left, what comes back when, and whom to ask."""
    resting = ""
    if ledger.next_free_ms is not None:
        resting = (
            f", {ledger.quarantined} in quarantine, the first until {_shown(ledger.next_free_ms)}"
        )
    words = ", ".join(map(repr, terms[:NAMED])) + ", ..." * (len(terms) > NAMED)
    candidates = ", ".join(_candidate(bound) for bound in list(ending)[:NAMED])
    release = f"Release a term, for example {candidates}" if candidates else "Wait"
    return (
        f"CodebookFull: position {position}: {ledger.free} of {ledger.reserved} free{resting}; "
        f"cannot bind {words}. {release}, or raise groups[].reserved in topology.yaml (a new "
        "generation). kae term capacity has the whole ledger"
    )


def _candidate(bound: BindSlot) -> str:
    if bound.until_ms:
        return f"{bound.term!r} (ends {_shown(bound.until_ms)})"
    return f"{bound.term!r} (bound {_shown(bound.accepted_ms)}, without an end)"


def _shown(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
