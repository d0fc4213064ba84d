"""The words that come most often, counted in bounded memory: space-saving.

Source: Metwally, Agrawal, El Abbadi, Efficient computation of frequent and top-k elements in data
streams (ICDT 2005). With c counters and n words counted, a word that came more than n / c times is
among those kept, and no count is too high by more than n / c.

Words of queries that neither the codebook nor a term knows: tomorrow's candidates.

They are kept in memory alone, a bounded number of them, without who asked or what else. A word is
told only once so many requests asked for it that it is nobody's own; what may name a person or a
thing of theirs, mail addresses and whatever has a digit, is not counted at all.
"""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from kae.encoders.text.normal_form import normalise
from kae.streams.clock import now_ms
from kae.streams.replica_api.answers import UnknownWord


@dataclass(frozen=True, slots=True)
class Counted:
    """A word; it came `least` to `most` times."""

    word: str
    least: int
    most: int


class HeavyHitters:
    """Counts words; for one thread at a time."""

    def __init__(self, counters: int) -> None:
        self._counters = counters
        self._counts: dict[str, tuple[int, int]] = {}  # word -> most, by how much that is too high

    def count(self, word: str) -> None:
        """Count a word once; where no counter is free, the rarest word is forgotten."""
        known = self._counts.get(word)
        if known is not None:
            most, over = known
        elif len(self._counts) < self._counters:
            most, over = 0, 0
        else:
            rarest = min(self._counts, key=lambda one: self._counts[one][0])
            most, _ = self._counts.pop(rarest)
            over = most
        self._counts[word] = (most + 1, over)

    def counted(self, least: int) -> list[Counted]:
        """The words that came at least so often for sure, the most frequent first."""
        found = [
            Counted(word, most - over, most)
            for word, (most, over) in self._counts.items()
            if most - over >= least
        ]
        return sorted(found, key=lambda one: (-one.least, one.word))


COUNTERS = 1000
WORD_CHARACTERS = 2, 32
# A part of a query, between spaces, that is dropped with all of its words.
PRIVATE = re.compile(r"[@\d]|://|^www\.", re.IGNORECASE)


class UnknownWords:
    """What the queries of one generation asked for in vain; used by any thread."""

    def __init__(self, least_requests: int) -> None:
        """A word is told once so many requests asked for it; 0: none is counted."""
        self.least_requests = least_requests
        self.since_ms = now_ms()
        self.requests = 0
        self._lock = threading.Lock()
        self._heavy = HeavyHitters(COUNTERS)

    def note(self, text: str, unknown: Sequence[str]) -> int:
        """Count each of a query's unknown words once; returns how many were counted."""
        if not self.least_requests:
            return 0
        countable = _countable(text, unknown)
        with self._lock:
            self.requests += 1
            for word in countable:
                self._heavy.count(word)
        return len(countable)

    def most_asked(self, limit: int) -> list[UnknownWord]:
        """Those that enough requests asked for, the most frequent first."""
        if not self.least_requests:
            return []
        with self._lock:
            found = self._heavy.counted(self.least_requests)
        return [UnknownWord(one.word, one.least, one.most) for one in found[:limit]]


def _countable(text: str, unknown: Sequence[str]) -> list[str]:
    private = {
        token for part in text.split() if PRIVATE.search(part) for token in normalise(part).split()
    }
    shortest, longest = WORD_CHARACTERS
    return [word for word in unknown if word not in private and shortest <= len(word) <= longest]
