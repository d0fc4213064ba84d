"""Freshness: how long ago this replica's view was known to hold all that the logs held.

The brokers are asked for the ends of the logs; once the view is past them, it was complete at the
moment of the question. So a broker that falls silent makes a replica stale, never falsely fresh.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kae.streams.replica_api.answers import Freshness


@dataclass(slots=True)
class FreshnessGauge:
    """Written by the follower's thread; `reading` may be called from any."""

    within_seconds: float
    hindrance: str = ""  # what keeps the view from getting fresher, beside the brokers
    lacking: str = ""  # what it cannot answer yet, whatever its age
    on_complete: Callable[[float], None] = lambda _at: None  # told when a view was complete
    _asked_at: float = 0.0
    _complete_at: float | None = None
    _ends: Mapping[str, int] = field(default_factory=dict)
    _missing: Mapping[str, int] = field(default_factory=dict)

    @property
    def caught_up(self) -> bool:
        return bool(self._ends) and not self._missing

    def ask(self, now: float, ends: Mapping[str, int]) -> None:
        """The logs' ends, as the brokers told them at `now`."""
        self._asked_at = now
        self._ends = ends

    def note_view(self, positions: Mapping[str, int]) -> None:
        """A view holds everything before these positions."""
        if not self._ends:
            return
        self._missing = {
            log: end - positions[log] for log, end in self._ends.items() if end > positions[log]
        }
        if not self._missing:
            self._complete_at = self._asked_at
            self.on_complete(self._asked_at)

    def reading(self, now: float) -> Freshness:
        complete_at = self._complete_at
        missing = self._missing
        reasons = []
        age = None if complete_at is None else max(0.0, now - complete_at)
        if age is None:
            reasons.append("the logs have not been read to their ends yet")
        elif age > self.within_seconds:
            reasons.append(
                f"the view was complete {age:.1f} s ago; replica.fresh_within_seconds is "
                f"{self.within_seconds:g}"
            )
        if self.lacking:
            reasons.append(self.lacking)
        if reasons:
            reasons += [f"{log}: {count} records behind" for log, count in sorted(missing.items())]
            reasons += [self.hindrance] if self.hindrance else []
        return Freshness(not reasons, age, self.within_seconds, sum(missing.values()), reasons)
