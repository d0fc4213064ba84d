"""What one pass over a catalog says about its words: which there are, and of which category.

Fields vote for the category they are mapped to, once for each item. A title votes for a phrase that
none of the item's fields explains: for the category of the bundled vocabulary if that lists the
phrase, else for what candidates say, else for entity or modifier. Candidates are words that the
tagger or a person found before; those that a title says are taken up.

Memory is bounded, whatever the catalog: the rarest words are forgotten (bounded.py).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kae.encoders.bounded import BoundedCounts
from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.items import Attribute, Item
from kae.encoders.text.normal_form import contains_phrase, normalise
from kae.encoders.text.seeds import seeds
from kae.encoders.vocabulary.title_phrases import NGRAMS, TitlePhrases, fewest_items
from kae.encoders.vocabulary.vocabulary import Form, WordOrigin

_ENTITY = CATEGORY_INDEX["entity"]
_MODIFIER = CATEGORY_INDEX["modifier"]
_BRAND = CATEGORY_INDEX["brand"]
# Their words stand for themselves: "hp printer" is a brand and an entity, no phrase.
_APART = frozenset(
    CATEGORY_INDEX[name] for name in ("brand", "color", "audience", "season", "marketing")
)


@dataclass(frozen=True, slots=True)
class EvidenceLimits:
    """How much of a catalog is held in memory; the words of the largest dictionary published."""

    ngrams: int = NGRAMS
    field_words: int = 2_000_000
    forms: int = 1_080_000


class Evidence:
    """The votes of fields and titles; `candidates` are category -> word, of the tagger."""

    def __init__(
        self,
        fields: Mapping[str, str],
        candidates: Mapping[str, int],
        bounds: EvidenceLimits,
    ) -> None:
        self._brands_known = "brand" in fields.values()
        self._candidates = candidates
        self._beginning = _by_first_token(candidates)
        self._said: Counter[str] = Counter()
        self._bounds = bounds
        self._field_items: BoundedCounts[tuple[str, int]] = BoundedCounts(bounds.field_words)
        self._listed_apart = frozenset(
            word for word, category in seeds().items() if category in _APART and category != _BRAND
        )
        self._titles = TitlePhrases(bounds.ngrams)

    @property
    def items(self) -> int:
        return self._titles.titles

    @property
    def uncounted(self) -> int:
        """How many items at most a word may have beyond those counted, since it was forgotten."""
        return self._field_items.lost + self._titles.counts.lost

    def add(self, item: Item, of_fields: Sequence[Attribute]) -> None:
        words = {(found.word, found.category) for found in of_fields}
        self._field_items.update(words)
        self._field_items.forget_the_rarest()
        apart = {
            token for word, category in words if category in _APART for token in word.split(" ")
        }
        title = normalise(item.title)
        self._titles.add(title, self._listed_apart | apart, [word for word, _ in words])
        if self._beginning:
            self._said.update(self._candidates_in(title))

    def forms(self) -> list[tuple[int, Form]]:
        """The words of the catalog, each with its category; what most items have comes first."""
        counted: defaultdict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0])

        def count(category: int, word: str, items: int, origin: WordOrigin) -> None:
            votes = counted[category, word]
            votes[0] += items
            votes[1] |= origin

        fewest = fewest_items(self.items)
        for (word, category), items in self._field_items.items():
            if items >= fewest:
                count(category, word, items, WordOrigin.FIELD)
        for phrase in self._titles.phrases():
            if unexplained := self._titles.unexplained(phrase):
                category = self._category(phrase)
                told = self._candidates.get(phrase) == category
                origin = WordOrigin.TITLE | WordOrigin.TAGGER if told else WordOrigin.TITLE
                count(category, phrase, unexplained, origin)
        known = {word for _, word in counted}
        for word in self._said.keys() - known:
            count(self._candidates[word], word, self._said[word], WordOrigin.TAGGER)
        most = sorted(counted, key=lambda key: (-counted[key][0], key))[: self._bounds.forms]
        listed = seeds()
        return [
            (
                category,
                Form(
                    word,
                    counted[category, word][0],
                    WordOrigin(counted[category, word][1])
                    | (WordOrigin.SEED if listed.get(word) == category else WordOrigin(0)),
                ),
            )
            for category, word in most
        ]

    def rest(self) -> Iterator[tuple[int | None, Form]]:
        """What too few items have for a word of its own; a title says of no category."""
        fewest = fewest_items(self.items)
        for (word, category), items in self._field_items.items():
            if items < fewest:
                yield category, Form(word, items, WordOrigin.FIELD)
        for ngram in self._titles.counts:
            if unexplained := self._titles.unexplained(ngram):
                yield None, Form(ngram, unexplained, WordOrigin.TITLE)

    def _candidates_in(self, title: str) -> Iterator[str]:
        for token in set(title.split(" ")).intersection(self._beginning):
            for word in self._beginning[token]:
                if contains_phrase(title, word):
                    yield word

    def _category(self, phrase: str) -> int:
        listed = seeds().get(phrase)
        if listed == _BRAND:
            # Most brand names are common words too: trust the list only where nothing says better.
            listed = None if self._brands_known or not self._titles.leads(phrase) else listed
        if listed is not None:
            return listed
        if phrase in self._candidates:
            return self._candidates[phrase]
        return _MODIFIER if self._titles.is_modifier(phrase) else _ENTITY


def _by_first_token(words: Mapping[str, int]) -> dict[str, list[str]]:
    beginning: defaultdict[str, list[str]] = defaultdict(list)
    for word in sorted(words):
        beginning[word.split(" ")[0]].append(word)
    return dict(beginning)
