"""From attributes to the identifier: one representative word for each group.

Of several words with a slot in a group, the representative is the first by
    1. subject: what the item is, an entity that a field or the title names, before all else;
       what the tagger takes for one is no subject,
    2. source: a field before the dictionary, the dictionary before the tagger,
    3. score: what the title says too before the field alone; the title before the description,
    4. category, in the order that the group declares,
    5. length in tokens, longer first,
    6. items of the catalog that have the word, more first,
    7. the word itself.

Subject first: OneRetrieval (arXiv 2606.13533), importance of words.
"""

from collections.abc import Iterable, Sequence

from kae.encoders.attributes import Attribute, Encoded, Item, Source
from kae.encoders.categories import CATEGORIES, CATEGORY_INDEX, POSITIONS, Identifier
from kae.encoders.codebook import Codebook
from kae.encoders.extract import Extractor
from kae.encoders.found import TITLE_SCORE, UNRANKED, Found, Rank
from kae.encoders.title_reader import title_reader

_ENTITY = CATEGORY_INDEX["entity"]
# An order ends with the slot's index, which UNRANKED has as 0: empty.
_INDEX_BITS = 16
_INDEX = (1 << _INDEX_BITS) - 1


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

    def rank(self, found: Attribute) -> Rank:
        """Where an attribute stands among those of its group; UNRANKED when it has no slot."""
        position, category = self._place[found.category]
        entry = self._words[position].get(found.word)
        if entry is None:
            return UNRANKED
        preference, index = entry
        is_subject = (
            found.category == _ENTITY
            and found.score >= TITLE_SCORE
            and found.source != Source.TAGGER
        )
        # Of one position, which of two comes first is told by one comparison of whole numbers.
        order = int(not is_subject)
        order = order << 2 | found.source
        order = order << 10 | round((1 - found.score) * 1000)
        order = order << 5 | category
        order = order << 22 | preference
        return position, order << _INDEX_BITS | index


def best(found: Iterable[Found]) -> Identifier:
    """The representatives among what was found."""
    first = [UNRANKED[1]] * POSITIONS
    for one in found:
        if one.order < first[one.position]:
            first[one.position] = one.order
    a, b, c, d, e, f = [order & _INDEX for order in first]
    return (a, b, c, d, e, f)


def assign(codebook: Codebook, attributes: Iterable[Attribute]) -> Identifier:
    """The identifier of one item; for many, keep an Encoder."""
    assigner = Assigner(codebook)
    return best(Found(attribute, assigner.rank) for attribute in attributes)


class Encoder:
    """Item -> text, attributes, identifier: what the live path and the backfill both call.

    Raises: TaggerInvalid when the codebook's tagger has been damaged since it was loaded.
    """

    def __init__(self, codebook: Codebook) -> None:
        self.fingerprint = codebook.fingerprint
        self._codebook = codebook
        self._assigner = Assigner(codebook)
        rank = self._assigner.rank
        self._extractor = Extractor(codebook, rank, title_reader(codebook, rank))

    @property
    def reads_titles(self) -> bool:
        """Whether a tagger may read a title, which takes a thousand times as long as not to."""
        return self._codebook.tagger is not None

    def encode(self, item: Item) -> Encoded:
        return self.encode_all([item])[0]

    def encode_all(self, items: Sequence[Item]) -> list[Encoded]:
        """Encode many: each is encoded as if it were alone, at half of the cost."""
        texts, attributes = self._extractor.find(items)
        return [
            Encoded(item.title, text, tuple([one.attribute for one in found]), best(found))
            for item, text, found in zip(items, texts, attributes, strict=True)
        ]
