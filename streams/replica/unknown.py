"""Words of queries that neither the codebook nor a term knows: tomorrow's candidates.

They are kept in memory alone, a bounded number of them, without who asked or what else. A word is
told only once so many requests asked for it that it is nobody's own; what may name a person or a
thing of theirs, mail addresses and whatever has a digit, is not counted at all.
"""

import re
import threading
from collections.abc import Sequence

import msgspec

from kae.encoders.text import normalise
from kae.sinks.heavy_hitters import HeavyHitters
from kae.streams.moments import now_ms

COUNTERS = 1000
WORD_CHARACTERS = 2, 32
# A part of a query, between spaces, that is dropped with all of its words.
PRIVATE = re.compile(r"[@\d]|://|^www\.", re.IGNORECASE)


class UnknownWord(msgspec.Struct, frozen=True):
    """`requests` asked for it for sure, `at_most` perhaps: rarer words had to be forgotten."""

    word: str
    requests: int
    at_most: int


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
