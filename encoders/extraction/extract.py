"""From an item to its attributes: fields first, then title, then description, then the tagger."""

from collections.abc import Sequence

from kae.encoders.bounded import BoundedCache
from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.mentions import FIELD_SCORE, UNRANKED, Mention, RankOf, merge_mentions
from kae.encoders.extraction.scan import Scanner
from kae.encoders.extraction.title_reader import TitleReader
from kae.encoders.items import Attribute, AttributeSource, Item
from kae.encoders.text.normal_form import END
from kae.encoders.text.values import words_of

TITLE_CHARACTERS = 1000
DESCRIPTION_CHARACTERS = 2000
_CACHED_CHARACTERS = 200


class Extractor:
    """Finds a codebook's words in items and texts; with a reader, the tagger's too."""

    def __init__(
        self,
        codebook: Codebook,
        rank: RankOf = lambda _: UNRANKED,
        reader: TitleReader | None = None,
    ) -> None:
        self._rank = rank
        self._form = codebook.form
        self._reader = reader
        caches = {kind: BoundedCache[str, list[Mention]]() for kind in codebook.fields.values()}
        self._fields = {
            name: (CATEGORY_INDEX[kind], caches[kind]) for name, kind in codebook.fields.items()
        }
        self._scanner = Scanner([word for word in codebook.words if word.scanned], rank)

    def extract(self, item: Item) -> tuple[Attribute, ...]:
        """Return each (category, word) of an item once, from its most trusted source."""
        _, (found,) = self.find([item])
        return tuple(one.attribute for one in found)

    def scan(self, text: str) -> list[Attribute]:
        """Return the words of any text, such as a title."""
        return list(self.extract(Item("", text)))

    def of_fields(self, item: Item) -> list[Attribute]:
        """Return the words of the mapped fields alone."""
        return [one.attribute for one in self._of_fields(item)]

    def find(self, items: Sequence[Item]) -> tuple[list[str], list[list[Mention]]]:
        """Return each item's text in the search form (title and description), and its mentions."""
        parts = [part for item in items for part in (item.title, item.description)]
        tokens = self._form.tokens_of_all(parts)
        # Each text has a space before and after it.
        normal = f" {' '.join(tokens)}".split(END)
        titles, descriptions = normal[::2], normal[1::2]
        if max(map(len, normal)) > TITLE_CHARACTERS:
            tokens = _beginnings(titles, descriptions)
        scanned = self._scanner.search(tokens)
        found = [
            merge_mentions(self._of_fields(item), next(scanned), next(scanned)) for item in items
        ]
        if self._reader is not None:
            self._reader.extend(items, found)
        pairs = zip(titles, descriptions, strict=False)  # nothing comes after the last END
        texts = [f"{title[:-1]}{description[:-1]}"[1:] for title, description in pairs]
        return texts, found

    def _of_fields(self, item: Item) -> list[Mention]:
        found: list[Mention] = []
        mapped, fields = self._fields, item.fields
        # Sorted by name, so that the order of fields in a feed does not matter.
        for name in sorted(fields.keys() & mapped.keys()):
            category, cache = mapped[name]
            values = fields[name]
            for value in (values,) if isinstance(values, str) else values:
                known = cache.get(value)
                found += self._keep(category, cache, value) if known is None else known
        return found

    def _keep(
        self, category: int, cache: BoundedCache[str, list[Mention]], value: str
    ) -> list[Mention]:
        found = self._of_value(category, value)
        if len(value) <= _CACHED_CHARACTERS:
            cache[value] = found
        return found

    def _of_value(self, category: int, value: str) -> list[Mention]:
        return [
            Mention(Attribute(category, word, text, AttributeSource.FIELD, FIELD_SCORE), self._rank)
            for word, text in words_of(value, category, self._form)
        ]


def _beginnings(titles: Sequence[str], descriptions: Sequence[str]) -> list[str]:
    """The tokens that are searched of long texts, END after each text."""
    tokens: list[str] = []
    for title, description in zip(titles, descriptions, strict=False):
        tokens += _beginning(title.split(), TITLE_CHARACTERS)
        tokens.append(END)
        tokens += _beginning(description.split(), DESCRIPTION_CHARACTERS)
        tokens.append(END)
    return tokens


def _beginning(tokens: Sequence[str], characters: int) -> list[str]:
    """Return the first tokens, up to a text of so many characters."""
    kept: list[str] = []
    left = characters + 1
    for token in tokens:
        left -= len(token) + 1
        if left < 0:
            break
        kept.append(token)
    return kept
