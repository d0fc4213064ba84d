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

from collections.abc import Iterable, Sequence

from kae.encoders.attributes import Attribute, Encoded, Item
from kae.encoders.categories import CATEGORIES, CATEGORY_INDEX, EMPTY, Identifier
from kae.encoders.codebook import Codebook
from kae.encoders.extract import TITLE_SCORE, Extractor, Rank
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

    def rank(self, found: Attribute) -> Rank | None:
        """Where an attribute stands among those of its group; None when its word has no slot."""
        position, category = self._place[found.category]
        entry = self._words[position].get(found.word)
        if entry is None:
            return None
        is_subject = found.category == _ENTITY and found.score >= TITLE_SCORE
        return position, (not is_subject, found.source, -found.score, category, *entry)

    def best(self, ranks: Iterable[Rank | None]) -> Identifier:
        """The representatives among what was found."""
        best: dict[int, tuple[float, ...]] = {}
        for rank in ranks:
            if rank is not None:
                position, order = rank
                if position not in best or order < best[position]:
                    best[position] = order
        identifier = list(EMPTY)
        for position, order in best.items():
            identifier[position] = int(order[-1])
        return tuple(identifier)  # type: ignore[return-value]


def assign(codebook: Codebook, attributes: Iterable[Attribute]) -> Identifier:
    """The identifier of one item; for many, keep an Encoder."""
    assigner = Assigner(codebook)
    return assigner.best(map(assigner.rank, attributes))


class Encoder:
    """Item -> text, attributes, identifier: what the live path and the backfill both call."""

    def __init__(self, codebook: Codebook) -> None:
        self.fingerprint = codebook.fingerprint
        self._assigner = Assigner(codebook)
        self._extractor = Extractor(codebook, self._assigner.rank)

    def encode(self, item: Item) -> Encoded:
        return self.encode_all([item])[0]

    def encode_all(self, items: Sequence[Item]) -> list[Encoded]:
        """Encode many: each is encoded as if it were alone, at a third of the cost."""
        titles = [normalise(item.title) for item in items]
        descriptions = [normalise(item.description) for item in items]
        best = self._assigner.best
        return [
            Encoded(
                item.title,
                f"{title} {description}".strip(),
                tuple([one.attribute for one in found]),
                best([one.rank for one in found]),
            )
            for item, title, description, found in zip(
                items,
                titles,
                descriptions,
                self._extractor.find(items, titles, descriptions),
                strict=True,
            )
        ]
