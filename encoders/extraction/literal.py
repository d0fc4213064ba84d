"""Every value of an item, verbatim as in its input: from fields, the tagger and the dictionary.

    field        a value of a field that has a category
    tagger       a part of the title that the network recognises as a value
    dictionary   a word of the codebook, a measure or a model number in title or description

The first source that has a word of a category keeps it. A field's values close their category to
the tagger, which only guesses. Where the tagger found values in a title, the dictionary adds only
categories that the tagger never learned (a season, a pattern), and only outside the tagger's
values. A dictionary does not see context, such as "Cotton" in "Cotton Candy Scented": of 185 words
that a dictionary of another trade added where the tagger found nothing, four were right.
"""

from collections.abc import Iterator, Mapping, Sequence

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.extract import Extractor
from kae.encoders.extraction.mentions import CONFIRMED_SCORE, FIELD_SCORE, TITLE_SCORE
from kae.encoders.fields.names import meaning_of
from kae.encoders.items import Attribute, AttributeSource, Item
from kae.encoders.tagger.tagger import Tagged, Tagger
from kae.encoders.text.markup import plain_items
from kae.encoders.text.measures import canonical
from kae.encoders.text.normal_form import contains_phrase
from kae.encoders.text.search_form import NEWEST_FORM
from kae.encoders.text.surfaces import surface_of
from kae.encoders.text.values import words_of


class LiteralExtractor:
    """Finds values in items; both the codebook and the tagger are optional."""

    def __init__(self, codebook: Codebook | None, tagger: Tagger | None) -> None:
        self._mapped: Mapping[str, str] = codebook.fields if codebook else {}
        self._form = codebook.form if codebook else NEWEST_FORM
        self._extractor = Extractor(codebook) if codebook else None
        self._tagger = tagger
        self._learned = tagger.categories if tagger else frozenset()

    def extract(self, items: Sequence[Item]) -> list[list[Attribute]]:
        """Return each item's attributes; `text` is a part of its title, description or field.

        Of HTML, that is a part of its text.
        """
        items = plain_items(items)
        titles = [item.title for item in items]
        tagged = self._tagger.tag(titles) if self._tagger else [()] * len(items)
        return [
            self._merge(item, values, scanned)
            for item, values, scanned in zip(items, tagged, self._scan(items), strict=True)
        ]

    def _scan(self, items: Sequence[Item]) -> list[list[Attribute]]:
        if self._extractor is None:
            return [[] for _ in items]
        _, found = self._extractor.find(
            [Item(item.id, item.title, item.description) for item in items]
        )
        return [[one.attribute for one in of_item] for of_item in found]

    def _merge(
        self, item: Item, tagged: Sequence[Tagged], scanned: Sequence[Attribute]
    ) -> list[Attribute]:
        found = {(one.category, one.word): one for one in self._of_fields(item)}
        closed = {category for category, _ in found}
        for one in self._of_values(item.title, tagged):
            if one.category not in closed:
                found.setdefault((one.category, one.word), one)
        taken = [self._form.normalise(item.title[value.begin : value.end]) for value in tagged]
        tagged_categories = {category for category, _ in found} | self._learned
        for one in scanned:
            in_title = one.score == TITLE_SCORE
            if in_title and tagged:
                if one.category in tagged_categories:
                    continue
                if any(contains_phrase(value, one.text) for value in taken):
                    continue
            text = surface_of(item.title if in_title else item.description, one.text, self._form)
            if text is not None:
                found.setdefault(
                    (one.category, one.word),
                    Attribute(one.category, one.word, text, one.source, one.score),
                )
        return list(found.values())

    def _of_fields(self, item: Item) -> Iterator[Attribute]:
        title = self._form.normalise(item.title)
        for name, values in sorted(item.fields.items()):
            category = self._category_of(name)
            if category is None:
                continue
            for value in [values] if isinstance(values, str) else values:
                for word, text in words_of(value, category, self._form):
                    score = CONFIRMED_SCORE if contains_phrase(title, word) else FIELD_SCORE
                    yield Attribute(category, word, text, AttributeSource.FIELD, score)

    def _category_of(self, name: str) -> int | None:
        """The category of a field by the codebook's mapping, or else by its whole name."""
        if name in self._mapped:
            return CATEGORY_INDEX[self._mapped[name]]
        named = meaning_of(name)
        return CATEGORY_INDEX.get(named.meaning) if named and named.whole else None

    def _of_values(self, title: str, tagged: Sequence[Tagged]) -> Iterator[Attribute]:
        for value in tagged:
            text = title[value.begin : value.end]
            word = canonical(self._form.normalise(text))
            if word:  # a value of punctuation alone has no word
                yield Attribute(value.category, word, text, AttributeSource.TAGGER, value.score)
