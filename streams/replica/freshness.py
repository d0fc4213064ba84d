"""Freshness: how long ago this replica's view was known to hold all that the logs held.

The brokers are asked for the ends of the logs; once the view is past them, it was complete at the
moment of the question. So a broker that stops answering makes a replica stale, never falsely fresh.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kae.streams.replica_api.status import Freshness


@dataclass(slots=True)
class FreshnessGauge:
    """Written by the follower's thread; `reading` may be called from any thread."""

    within_seconds: float
    obstacle: str = ""  # what keeps the view from getting fresher, besides the brokers
    pending: str = ""  # what it cannot answer yet, however fresh it is
    asked_at: float = 0.0  # when the brokers were last asked for the ends of the logs
    _complete_at: float | None = None
    _ends: Mapping[str, int] = field(default_factory=dict)
    _missing: Mapping[str, int] = field(default_factory=dict)

    @property
    def caught_up(self) -> bool:
        """Whether the view holds all that the logs held when the brokers were last asked."""
        return bool(self._ends) and not self._missing

    def set_ends(self, now: float, ends: Mapping[str, int]) -> None:
        """Set the ends of the logs, as the brokers told them at `now`."""
        self.asked_at = now
        self._ends = ends

    def update(self, positions: Mapping[str, int]) -> bool:
        """Set what the view holds, all before these positions; whether it was complete."""
        if not self._ends:
            return False
        self._missing = {
            log: end - positions[log] for log, end in self._ends.items() if end > positions[log]
        }
        if not self._missing:
            self._complete_at = self.asked_at
        return not self._missing

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
        if self.pending:
            reasons.append(self.pending)
        if reasons:
            reasons += [f"{log}: {count} records behind" for log, count in sorted(missing.items())]
            reasons += [self.obstacle] if self.obstacle else []
        return Freshness(not reasons, age, self.within_seconds, sum(missing.values()), reasons)
