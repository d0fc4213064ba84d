"""The capacity of reserved slots: what each position has free, until when, and what may go."""

from collections.abc import Mapping, Sequence

import msgspec

from kae.encoders.categories import Group
from kae.sinks.log.edits import BindSlot
from kae.sinks.terms.bindings import Bindings
from kae.sinks.terms.slot_ledger import SlotLedger, ledger_of, soonest_to_end
from kae.streams.clock import DAY_MS, rfc3339
from kae.streams.terms.history import BindingsHistory

# How many terms that end soonest are shown, and how many with the fewest items.
CANDIDATES = 3
# A forecast further ahead says this many days.
MOST_DAYS = 36_500


class ReleaseCandidate(msgspec.Struct, frozen=True):
    """A term that may be released for its slot; `items` is None if the replica does not have it."""

    term: str
    why: str
    items: int | None
    until_ms: int | None
    owner: str


class PositionCapacity(msgspec.Struct, frozen=True):
    """The reserved slots of one position: used + free + quarantined = reserved.

    `taken_per_day` is how many more slots were taken than freed on a day of the window; without a
    trend it is None, and so is `full_ms`. `forecast` is the same for people.
    """

    position: int
    group: str
    categories: tuple[str, ...]
    reserved: int
    used: int
    free: int
    quarantined: int
    next_free_ms: int | None
    taken_per_day: float | None
    full_ms: int | None
    forecast: str
    candidates: list[ReleaseCandidate]


class Capacity(msgspec.Struct, frozen=True):
    """What `kae term capacity --json` prints; the trend is over `window_days`."""

    at_ms: int
    window_days: float
    positions: list[PositionCapacity]


def capacity_of(
    history: BindingsHistory,
    groups: Sequence[Group],
    items: Mapping[str, int],
    now: int,
    window_days: float,
    quarantine_ms: int,
) -> Capacity:
    """The capacity now; `items` counts the items that each term is attached to.

    The window is shorter if the log begins within it.
    """
    began = now if history.began_ms is None else history.began_ms
    since = max(began, now - int(window_days * DAY_MS))
    then, bindings = history.bindings(since), history.bindings(now)
    days = (now - since) / DAY_MS
    positions = []
    for position, group in enumerate(groups):
        old, ledger = (
            ledger_of(fold, position, group.reserved, quarantine_ms) for fold in (then, bindings)
        )
        taken = (old.free - ledger.free) / days if days >= 1 else None
        left = _days_left(ledger, taken)
        full_ms = None if left is None else now + int(left * DAY_MS)
        positions.append(
            PositionCapacity(
                position=position,
                group=group.name,
                categories=group.categories,
                reserved=ledger.reserved,
                used=ledger.used,
                free=ledger.free,
                quarantined=ledger.quarantined,
                next_free_ms=ledger.next_free_ms,
                taken_per_day=taken,
                full_ms=full_ms,
                forecast=_forecast(ledger, taken, full_ms, days),
                candidates=_candidates(bindings, position, items),
            )
        )
    return Capacity(now, days, positions)


def _days_left(ledger: SlotLedger, taken_per_day: float | None) -> float | None:
    """Days until no slot is free; None if the trend does not lead there."""
    if not ledger.free:
        return 0
    if taken_per_day is None or taken_per_day <= 0:
        return None
    return min(ledger.free / taken_per_day, MOST_DAYS)


def _forecast(
    ledger: SlotLedger, taken_per_day: float | None, full_ms: int | None, days: float
) -> str:
    if not ledger.free:
        return "full"
    if taken_per_day is None:
        return f"no trend: {days * 24:.1f} hours are recorded, a day is the least"
    if full_ms is None:
        return f"no trend: no more taken than freed in {days:.0f} days"
    return f"full by {rfc3339(full_ms)[:10]}, at {taken_per_day:.2f} a day"


def _candidates(
    bindings: Bindings, position: int, items: Mapping[str, int]
) -> list[ReleaseCandidate]:
    held = soonest_to_end(bindings, position)
    ending = [bound for bound in held if bound.until_ms][:CANDIDATES]
    known = (bound for bound in held if bound.term in items and bound not in ending)
    fewest = sorted(known, key=lambda bound: items[bound.term])[:CANDIDATES]

    def candidate(bound: BindSlot, why: str) -> ReleaseCandidate:
        until_ms = bound.until_ms or None
        return ReleaseCandidate(bound.term, why, items.get(bound.term), until_ms, bound.owner)

    return [
        *(candidate(bound, "ends soonest") for bound in ending),
        *(candidate(bound, "fewest items") for bound in fewest),
    ]
