"""The dictionary of a catalog: for each surface form, the one category that it mostly has.

Fields vote for the category they are mapped to, once for each item. A title votes for a phrase that
none of the item's fields explains: for the category of the bundled vocabulary if that lists the
phrase, else for entity or modifier.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from kae.encoders.attributes import Attribute, Item
from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.measures import is_number
from kae.encoders.text import normalise
from kae.encoders.titles import TitlePhrases, fewest_items
from kae.encoders.vocabulary import stop_words, vocabulary

# Field words above this many are forgotten from the rarest on.
FIELD_WORDS = 2_000_000

_ENTITY = CATEGORY_INDEX["entity"]
_MODIFIER = CATEGORY_INDEX["modifier"]
_BRAND = CATEGORY_INDEX["brand"]
# Their words stand for themselves: "hp printer" is a brand and an entity, no phrase.
_APART = frozenset(
    CATEGORY_INDEX[name] for name in ("brand", "color", "audience", "season", "marketing")
)


class Evidence:
    """What one pass over a catalog says about its words."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._brands_known = "brand" in fields.values()
        self._field_items: Counter[tuple[str, int]] = Counter()
        self._explained: Counter[str] = Counter()
        self._listed_apart = frozenset(
            word
            for word, category in vocabulary().items()
            if category in _APART and category != _BRAND
        )
        self._titles = TitlePhrases()

    def add(self, item: Item, of_fields: Sequence[Attribute]) -> None:
        words = {(found.word, found.category) for found in of_fields}
        self._field_items.update(words)
        apart = {
            token for word, category in words if category in _APART for token in word.split(" ")
        }
        ngrams = self._titles.add(normalise(item.title), self._listed_apart | apart)
        self._explained.update(ngrams.intersection(word for word, _ in words))
        self._forget_the_rarest()

    def _forget_the_rarest(self) -> None:
        floor = 1
        while len(self._field_items) > FIELD_WORDS:
            self._field_items = Counter(
                {key: n for key, n in self._field_items.items() if n > floor}
            )
            kept = {word for word, _ in self._field_items}
            self._explained = Counter({k: n for k, n in self._explained.items() if k in kept})
            floor *= 2

    def dictionary(self) -> Iterator[tuple[str, int]]:
        """(surface form, category) in alphabetical order."""
        votes: defaultdict[str, Counter[int]] = defaultdict(Counter)
        fewest = fewest_items(self._titles.titles)
        for (word, category), items in self._field_items.items():
            if items >= fewest and _is_scannable(word):
                votes[word][category] += items
        for phrase in self._titles.phrases():
            unexplained = self._titles.counts[phrase] - self._explained[phrase]
            votes[phrase][self._category(phrase)] += unexplained
        for word in sorted(votes):
            yield word, self._winner(votes[word])

    def _category(self, phrase: str) -> int:
        listed = vocabulary().get(phrase)
        if listed == _BRAND:
            # Most brand names are common words too: trust the list only where nothing says better.
            listed = None if self._brands_known or not self._titles.leads(phrase) else listed
        if listed is not None:
            return listed
        return _MODIFIER if self._titles.is_modifier(phrase) else _ENTITY

    @staticmethod
    def _winner(votes: Counter[int]) -> int:
        return min(votes, key=lambda category: (-votes[category], category))


def _is_scannable(word: str) -> bool:
    """Whether finding the word in a running text means anything."""
    return len(word) > 1 and not is_number(word) and word not in stop_words()
