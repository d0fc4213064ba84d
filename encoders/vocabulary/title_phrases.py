"""Keywords that a catalog's titles show without any field: frequent, cohesive phrases.

One pass counts the n-grams of plain words (letters only). An n-gram is a keyword if
    - enough titles have it (support),
    - it is one word, or its words belong together (cohesion).
A keyword is a modifier if another plain word nearly always follows, otherwise an entity. That is
the word order of English, so words with non-ASCII letters are always entities.
Standalone words, such as the item's brand and colour, interrupt a phrase.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator
from itertools import groupby
from math import isqrt, log

from kae.encoders.bounded import BoundedCounts
from kae.encoders.text.bundled_words import stop_words
from kae.encoders.text.measures import is_number, is_unit
from kae.encoders.text.normal_form import is_unspaced
from kae.encoders.text.spelling import spelling_key

TITLE_TOKENS = 64
# The longest phrase of each kind of run, in tokens.
_LONGEST = {"plain": 3, "standalone": 3, "unspaced": 4}
# Above this many n-grams the rarest are dropped, so a catalog of any size fits in memory.
MAX_NGRAMS = 2_000_000
_COHESION = 0.5
# A phrase hides its words from the scan, so it needs more support than a single word.
_PHRASE_SUPPORT = 2
_MODIFIER_FOLLOWED = 0.85
# Support grows with the square root of the catalog: 3 titles for 20,000 items, 28 for a million.
_SUPPORT_DIVISOR = 35
# In a smaller catalog a single item is evidence enough for a word.
SMALL_CATALOG = 1000


class TitlePhrases:
    """Counts of the n-grams of titles."""

    def __init__(self, most: int = MAX_NGRAMS) -> None:
        self.titles = 0
        self.counts: BoundedCounts[str] = BoundedCounts(most)
        self._explained: Counter[str] = Counter()
        self._followed: Counter[str] = Counter()
        self._leading: Counter[str] = Counter()

    def add(
        self, title: str, standalone: Container[str] = (), explained: Iterable[str] = ()
    ) -> None:
        """Count the n-grams of a normalised title, each once.

        `standalone` tokens interrupt phrases; `explained` words are also in the item's fields.
        """
        self.titles += 1
        ngrams: set[str] = set()
        followed: set[str] = set()
        for kind, run in _plain_runs(title.split(" ")[:TITLE_TOKENS], standalone):
            for ngram, is_followed in _ngrams(run, _LONGEST[kind]):
                ngrams.add(ngram)
                if is_followed:
                    followed.add(ngram)
        self.counts.update(ngrams)
        self._followed.update(followed)
        self._leading.update(ngram for ngram in ngrams if f"{title} ".startswith(f"{ngram} "))
        self._explained.update(ngrams.intersection(explained))
        for dropped in self.counts.drop_rarest():
            for counter in (self._explained, self._followed, self._leading):
                counter.pop(dropped, None)

    def unexplained(self, ngram: str) -> int:
        """Return how many titles have it although no field of the item does."""
        return self.counts[ngram] - self._explained[ngram]

    def phrases(self) -> list[str]:
        """Return the n-grams that are keywords, in alphabetical order.

        The spellings of a word are counted together.
        """
        least = min_support(self.titles)
        spellings: defaultdict[str, list[str]] = defaultdict(list)
        for ngram, titles in self.counts.items():
            if titles >= least and (" " in ngram or not is_unspaced(ngram)):
                spellings[spelling_key(ngram)].append(ngram)
        return sorted(
            ngram for ngrams in spellings.values() if self._is_keyword(ngrams) for ngram in ngrams
        )

    def _is_keyword(self, spellings: list[str]) -> bool:
        support = max(min_support(self.titles), isqrt(self.titles) // _SUPPORT_DIVISOR)
        needed = support * _PHRASE_SUPPORT if all(" " in ngram for ngram in spellings) else support
        enough = sum(self.counts[ngram] for ngram in spellings) >= needed
        return enough and any(map(self._is_cohesive, spellings))

    def is_modifier(self, ngram: str) -> bool:
        followed = self._followed[ngram] >= _MODIFIER_FOLLOWED * self.counts[ngram]
        return followed and ngram.isascii()

    def leads(self, ngram: str) -> bool:
        """Whether most titles that have it begin with it, as they do with a brand."""
        return 2 * self._leading[ngram] > self.counts[ngram]

    def _is_cohesive(self, ngram: str) -> bool:
        """Whether every split of the phrase has high normalised pointwise mutual information."""
        tokens = ngram.split(" ")
        return all(
            self._npmi(ngram, " ".join(tokens[:cut]), " ".join(tokens[cut:])) >= _COHESION
            for cut in range(1, len(tokens))
        )

    def _npmi(self, whole: str, left: str, right: str) -> float:
        both, one, other = self.counts[whole], self.counts[left], self.counts[right]
        if both >= self.titles or not one or not other:
            # In every title, or next to a stop word, which is not counted.
            return 1.0 if both >= self.titles else 0.0
        return log(both * self.titles / (one * other)) / -log(both / self.titles)


def min_support(catalog_items: int) -> int:
    """Return how many items must have a word for it to be a keyword of the catalog."""
    return 1 if catalog_items < SMALL_CATALOG else 2


def _ngrams(run: list[str], longest: int) -> Iterator[tuple[str, bool]]:
    """Yield the n-grams that do not begin or end with a stop word, and whether a token follows."""
    for start, first in enumerate(run):
        if first not in stop_words():
            for end in range(start + 1, min(start + longest, len(run)) + 1):
                if run[end - 1] not in stop_words():
                    yield " ".join(run[start:end]), end < len(run)


def _plain_runs(tokens: list[str], standalone: Container[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield runs of tokens of one kind: unspaced, standalone or plain; others interrupt them."""
    pairs = zip(["", *tokens], tokens, strict=False)
    for kind, run in groupby(pairs, lambda pair: _kind(pair[0], pair[1], standalone)):
        if kind:
            yield kind, [token for _, token in run]


def _kind(before: str, token: str, standalone: Container[str]) -> str:
    if any(map(str.isnumeric, token)) or (is_unit(token) and is_number(before)):
        return ""
    if is_unspaced(token):
        return "unspaced"
    if len(token) < 2:
        return ""
    return "standalone" if token in standalone else "plain"
