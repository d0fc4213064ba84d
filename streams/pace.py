"""How many events a batch may have, so that it is encoded in about a second.

Without a tagger that is any batch. A title that the tagger reads takes some 15 ms, and more on a
shared core: a batch of 1,024 would keep requests, rebalances and the watchdog waiting.
"""

BATCH_SECONDS = 1.0
# A run, so a sudden series of titles not seen before is some seconds, not a quarter of a minute.
MOST_READ = 256
FEWEST = 16


class Pace:
    """Told what encoding took; any thread may ask for the limit."""

    def __init__(self, most: int, *, reads_titles: bool) -> None:
        self._most = min(most, MOST_READ) if reads_titles else most
        self._adapts = reads_titles
        self.limit = min(FEWEST * 2, most) if reads_titles else most

    def took(self, events: int, seconds: float) -> None:
        """Shrink at once, grow by doubling."""
        if not self._adapts or not events:
            return
        fitting = int(events * BATCH_SECONDS / max(seconds, 1e-6))
        grown = min(fitting, self.limit * 2, self._most)
        self.limit = max(grown, min(FEWEST, self._most))
