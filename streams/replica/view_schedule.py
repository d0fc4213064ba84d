"""When the next view is due: soon for a term, batched for items, at once when time changes one."""

import time
from math import ceil

from kae.sinks.log.edits import Activate, Attach, BindSlot, Deactivate, Detach
from kae.streams.clock import now_ms
from kae.streams.replica.index import Edits, ReplicaIndex

POLL_MS = 100
# While postings are refreshed in the background.
REFRESH_POLL_MS = 5
# Between two views that differ in items alone. A view that takes long is built less often, so that
# at most half of the time goes to building.
PAUSE_SECONDS = 0.005
PAUSE_PER_BUILD = 1
# How long the first part of a term waits for the other parts.
PARTS_SECONDS = 0.05


class ViewSchedule:
    """The moments at which views are due; used by the follower's thread alone."""

    def __init__(self, index: ReplicaIndex) -> None:
        self._index = index
        self._due_at: float | None = None  # for a view of what has changed
        self._swapped_at = 0.0
        self.terms_changed = False  # since the last view

    def add(self, edits: Edits, *, caught_up: bool) -> None:
        """Schedule a view of some edits that were folded."""
        now = time.monotonic()
        due_at = max(now, self._next_swap_at())
        if changes_terms(edits):
            self.terms_changed = True
            if caught_up:
                # A term's parts come from every log: one view with all of them, not one each.
                complete = self._index.term_progress.is_complete(edits, len(self._index.logs))
                due_at = now if complete else now + PARTS_SECONDS
        self._due_at = due_at if self._due_at is None else min(self._due_at, due_at)

    def add_postings(self) -> None:
        """Schedule a view of refreshed postings, unless a view is scheduled already."""
        if self._due_at is None:
            self._due_at = self._next_swap_at()

    def swapped(self) -> None:
        """The view that is in use now has all that was scheduled."""
        self._swapped_at = time.monotonic()
        self._due_at, self.terms_changed = None, False

    @property
    def is_empty(self) -> bool:
        """Whether the view in use has all that was folded."""
        return self._due_at is None

    @property
    def is_due(self) -> bool:
        """Whether a view of what has changed is due, or time alone changes what is visible."""
        if self._due_at is not None and time.monotonic() >= self._due_at:
            return True
        change_ms = self._index.view.next_change_ms
        return change_ms is not None and now_ms() >= change_ms

    def poll_ms(self) -> int:
        """How long to wait for records: no longer than until the next view is due."""
        change_ms = self._index.view.next_change_ms
        limit = POLL_MS if change_ms is None else max(0, min(POLL_MS, change_ms - now_ms()))
        if self._due_at is None:
            return min(limit, REFRESH_POLL_MS if self._index.is_refreshing else POLL_MS)
        left_ms = (self._due_at - time.monotonic()) * 1000
        return max(0, min(limit, ceil(left_ms)))

    def _next_swap_at(self) -> float:
        pause = max(PAUSE_SECONDS, PAUSE_PER_BUILD * self._index.view.built_seconds)
        return self._swapped_at + pause


def changes_terms(edits: Edits) -> bool:
    """Whether edits change which terms lead where: a view of them should not wait."""
    return any(
        isinstance(edit, Attach | Detach | BindSlot | Activate | Deactivate) for edit in edits
    )
