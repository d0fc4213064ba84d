"""What a token that a codebook does not have may have been meant as.

Words of the codebook that are written together or apart are found anyway (spelling.py); that two of
its words make up a third one is not guessed: a word that nobody knows is to lead nowhere.

"monnitor"  ->  "monitor"            one edit away
"headph"    ->  "headphone"          begun
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

from kae.encoders.text import is_unspaced

# Shorter tokens have too many neighbours.
SHORTEST = 4
SHORTEST_MEANT = 3
# Of several tokens those that most items have.
MOST = 2


class Respelling:
    """The tokens of a codebook, with the number of items that have each."""

    def __init__(self, items: Mapping[str, int]) -> None:
        self._items = dict(items)
        self._sorted = sorted(items)
        letters = {sign for token in items if not is_unspaced(token) for sign in token}
        self._alphabet = sorted(filter(str.isalpha, letters))

    def of(self, token: str) -> tuple[tuple[str, ...], ...]:
        """The ways to say what may be meant: edits before beginnings."""
        if len(token) < SHORTEST or not token.isalpha() or is_unspaced(token):
            return ()
        near = self._best(self._one_edit_away(token))
        return tuple((one,) for one in near or self._best(self._begun(token)))

    def _one_edit_away(self, token: str) -> Iterator[str]:
        """Without a letter, with two swapped, with one more, with another one."""
        for place in range(len(token) + 1):
            head, tail = token[:place], token[place:]
            yield head + tail[1:]
            yield head + tail[1:2] + tail[:1] + tail[2:]
            for letter in self._alphabet:
                yield head + letter + tail
                yield head + letter + tail[1:]

    def _begun(self, token: str) -> Iterator[str]:
        place = bisect_left(self._sorted, token)
        while place < len(self._sorted) and self._sorted[place].startswith(token):
            yield self._sorted[place]
            place += 1

    def _best(self, tokens: Iterable[str]) -> list[str]:
        known = {token for token in tokens if len(token) >= SHORTEST_MEANT and token in self._items}
        return sorted(known, key=lambda token: (-self._items[token], token))[:MOST]
