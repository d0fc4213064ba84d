"""From attributes to the identifier: one representative word for each group.

Of several words with a slot in a group, the representative is the first by
    1. subject: what the item is, an entity that a field or the title names, before all else,
    2. source: a field before the dictionary,
    3. score: what the title says too before the field alone; the title before the description,
    4. category, in the order that the group declares,
    5. length in tokens, longer first,
    6. items of the catalog that have the word, more first,
    7. the word itself.

Subject first: OneRetrieval (arXiv 2606.13533), importance of words.
"""

from collections.abc import Iterable

from kae.encoders.attributes import Attribute, Encoded, Item, Source
from kae.encoders.categories import CATEGORIES, CATEGORY_INDEX, EMPTY, Identifier
from kae.encoders.codebook import Codebook
from kae.encoders.extract import TITLE_SCORE, Extractor
from kae.encoders.text import normalise

_ENTITY = CATEGORY_INDEX["entity"]


class Assigner:
    """The representative's order, worked out once for a codebook."""

    def __init__(self, codebook: Codebook) -> None:
        self._place = [
            (position, codebook.groups[position].categories.index(category))
            for category, position in (
                (name, codebook.position_of(index)) for index, name in enumerate(CATEGORIES)
            )
        ]
        self._words: list[dict[str, tuple[int, int]]] = [{} for _ in codebook.groups]
        slotted = [word for word in codebook.words if word.index]
        slotted.sort(key=lambda word: (-word.word.count(" "), -word.items, word.word))
        for preference, word in enumerate(slotted):
            position = codebook.position_of(word.category)
            self._words[position].setdefault(word.word, (preference, word.index))

    def assign(self, attributes: Iterable[Attribute]) -> Identifier:
        best: dict[int, tuple[bool, Source, float, int, int, int]] = {}
        for found in attributes:
            position, rank = self._place[found.category]
            entry = self._words[position].get(found.word)
            if entry is not None:
                is_subject = found.category == _ENTITY and found.score >= TITLE_SCORE
                key = (not is_subject, found.source, -found.score, rank, *entry)
                if position not in best or key < best[position]:
                    best[position] = key
        identifier = list(EMPTY)
        for position, key in best.items():
            identifier[position] = key[-1]
        return tuple(identifier)  # type: ignore[return-value]


def assign(codebook: Codebook, attributes: Iterable[Attribute]) -> Identifier:
    """The identifier of one item; for many, keep an Assigner."""
    return Assigner(codebook).assign(attributes)


class Encoder:
    """Item -> text, attributes, identifier: what the live path and the backfill both call."""

    def __init__(self, codebook: Codebook) -> None:
        self.fingerprint = codebook.fingerprint
        self._extractor = Extractor(codebook)
        self._assigner = Assigner(codebook)

    def encode(self, item: Item) -> Encoded:
        title, description = normalise(item.title), normalise(item.description)
        attributes = self._extractor.extract_normalised(item, title, description)
        text = f"{title} {description}".strip()
        return Encoded(item.title, text, attributes, self._assigner.assign(attributes))
