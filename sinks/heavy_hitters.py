"""The words that come most often, counted in bounded memory: space-saving.

Source: Metwally, Agrawal, El Abbadi, Efficient computation of frequent and top-k elements in data
streams (ICDT 2005). With c counters and n words counted, a word that came more than n / c times is
among those kept, and no count is too high by more than n / c.
"""

from dataclasses import dataclass


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
