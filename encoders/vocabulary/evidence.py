"""What one pass over a catalog says about its words: which there are, and their categories.

A field votes for its mapped category, once for each item. A title votes for each phrase that none
of the item's fields contains: for the category in which the bundled words list it, else for the
category of a candidate, else for entity or modifier. Candidates are words that the tagger or a
person found before; those that occur in a title are accepted.

Memory is bounded: the rarest words are dropped (bounded.py).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kae.encoders.bounded import BoundedCounts
from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.items import Attribute, Item
from kae.encoders.text.bundled_words import bundled_words
from kae.encoders.text.normal_form import contains_phrase
from kae.encoders.text.search_form import NEWEST_FORM, SearchForm
from kae.encoders.vocabulary.title_phrases import MAX_NGRAMS, TitlePhrases, min_support
from kae.encoders.vocabulary.vocabulary import Form, WordOrigin

_ENTITY = CATEGORY_INDEX["entity"]
_MODIFIER = CATEGORY_INDEX["modifier"]
_BRAND = CATEGORY_INDEX["brand"]
# Their words interrupt phrases: "hp printer" is a brand and an entity, not one phrase.
_STANDALONE = frozenset(
    CATEGORY_INDEX[name] for name in ("brand", "color", "audience", "season", "marketing")
)


@dataclass(frozen=True, slots=True)
class EvidenceLimits:
    """How much of a catalog is kept in memory; `forms` is the largest dictionary published."""

    ngrams: int = MAX_NGRAMS
    field_words: int = 2_000_000
    forms: int = 1_080_000


class Evidence:
    """Collects the votes of fields and titles; `candidates` map words to categories."""

    def __init__(
        self,
        fields: Mapping[str, str],
        candidates: Mapping[str, int],
        limits: EvidenceLimits,
        form: SearchForm = NEWEST_FORM,
    ) -> None:
        self._form = form
        self._brands_known = "brand" in fields.values()
        self._candidates = candidates
        self._beginning = _by_first_token(candidates)
        self._candidate_titles: Counter[str] = Counter()
        self._limits = limits
        self._field_items: BoundedCounts[tuple[str, int]] = BoundedCounts(limits.field_words)
        self._listed_standalone = frozenset(
            word
            for word, category in bundled_words().items()
            if category in _STANDALONE and category != _BRAND
        )
        self._titles = TitlePhrases(limits.ngrams)

    @property
    def items(self) -> int:
        return self._titles.titles

    @property
    def uncounted(self) -> int:
        """The most items by which a word's count may be too low, since rare words are dropped."""
        return self._field_items.max_undercount + self._titles.counts.max_undercount

    def add(self, item: Item, of_fields: Sequence[Attribute]) -> None:
        words = {(found.word, found.category) for found in of_fields}
        self._field_items.update(words)
        self._field_items.drop_rarest()
        standalone = {
            token
            for word, category in words
            if category in _STANDALONE
            for token in word.split(" ")
        }
        title = self._form.normalise(item.title)
        self._titles.add(title, self._listed_standalone | standalone, [word for word, _ in words])
        if self._beginning:
            self._candidate_titles.update(self._candidates_in(title))

    def forms(self) -> list[tuple[int, Form]]:
        """Return the words of the catalog with their categories, most items first."""
        counted: defaultdict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0])

        def count(category: int, word: str, items: int, origin: WordOrigin) -> None:
            votes = counted[category, word]
            votes[0] += items
            votes[1] |= origin

        fewest = min_support(self.items)
        for (word, category), items in self._field_items.items():
            if items >= fewest:
                count(category, word, items, WordOrigin.FIELD)
        for phrase in self._titles.phrases():
            if unexplained := self._titles.unexplained(phrase):
                category = self._category(phrase)
                is_candidate = self._candidates.get(phrase) == category
                origin = WordOrigin.TITLE | WordOrigin.TAGGER if is_candidate else WordOrigin.TITLE
                count(category, phrase, unexplained, origin)
        known = {word for _, word in counted}
        for word in self._candidate_titles.keys() - known:
            count(self._candidates[word], word, self._candidate_titles[word], WordOrigin.TAGGER)
        most = sorted(counted, key=lambda key: (-counted[key][0], key))[: self._limits.forms]
        listed = bundled_words()
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

    def rare_forms(self) -> Iterator[tuple[int | None, Form]]:
        """Yield the forms that are too rare to be words; those of titles have no category."""
        fewest = min_support(self.items)
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
        listed = bundled_words().get(phrase)
        if listed == _BRAND:
            # Most brand names are common words too: the list counts only without better evidence.
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
