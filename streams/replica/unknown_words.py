"""Words of queries that neither the codebook nor a term has: candidates for new terms.

They are counted in bounded memory and never written to disk, without the rest of the query and
without who sent it. A word is listed only when enough requests asked for it that it identifies
nobody; parts of a query that may identify a person (mail addresses, all that has a digit) are not
counted.
"""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from kae.encoders.text.search_form import NEWEST_FORM, SearchForm
from kae.streams.clock import now_ms
from kae.streams.replica_api.answers import UnknownWord


@dataclass(frozen=True, slots=True)
class WordFrequency:
    """A word that occurred between `least` and `most` times."""

    word: str
    least: int
    most: int


class HeavyHitters:
    """The most frequent words, counted in bounded memory; for one thread at a time.

    With c counters and n words counted, a word that occurred more than n / c times is kept, and no
    count is too high by more than n / c.
    Source: the space-saving algorithm; Metwally, Agrawal, El Abbadi, Efficient computation of
    frequent and top-k elements in data streams (ICDT 2005).
    """

    def __init__(self, counters: int) -> None:
        self._counters = counters
        self._counts: dict[str, tuple[int, int]] = {}  # word -> most, by how much that is too high

    def count(self, word: str) -> None:
        """Count a word once; where no counter is free, the rarest word is dropped."""
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

    def frequent(self, least: int) -> list[WordFrequency]:
        """The words that certainly occurred at least `least` times, the most frequent first."""
        found = [
            WordFrequency(word, most - over, most)
            for word, (most, over) in self._counts.items()
            if most - over >= least
        ]
        return sorted(found, key=lambda one: (-one.least, one.word))


COUNTERS = 1000
WORD_CHARACTERS = 2, 32
# A part of a query, between spaces, whose words are not counted.
PRIVATE = re.compile(r"[@\d]|://|^www\.", re.IGNORECASE)


class UnknownWords:
    """Counts the unknown words of one generation's queries; may be used by any thread."""

    def __init__(self, least_requests: int, form: SearchForm = NEWEST_FORM) -> None:
        """A word is listed when `least_requests` requests asked for it; 0 counts none.

        `form` is how the generation's queries are read.
        """
        self._form = form
        self.least_requests = least_requests
        self.since_ms = now_ms()
        self.requests = 0
        self._lock = threading.Lock()
        self._heavy = HeavyHitters(COUNTERS)

    def count(self, text: str, unknown: Sequence[str]) -> int:
        """Count each unknown word of a query once; returns how many were counted."""
        if not self.least_requests:
            return 0
        countable = _countable(text, unknown, self._form)
        with self._lock:
            self.requests += 1
            for word in countable:
                self._heavy.count(word)
        return len(countable)

    def most_asked(self, limit: int) -> list[UnknownWord]:
        """The words that enough requests asked for, the most frequent first."""
        if not self.least_requests:
            return []
        with self._lock:
            found = self._heavy.frequent(self.least_requests)
        return [UnknownWord(one.word, one.least, one.most) for one in found[:limit]]


def _countable(text: str, unknown: Sequence[str], form: SearchForm) -> list[str]:
    parts = (part for part in text.split() if PRIVATE.search(part))
    private = {token for part in parts for token in form.tokens_of(part)}
    shortest, longest = WORD_CHARACTERS
    return [
        word
        for word in unknown
        # A word without spaces is a token for each character.
        if private.isdisjoint(form.tokens_of(word)) and shortest <= len(word) <= longest
    ]
