"""The importance table: which of an item's words of a group represents it.

    trust     what the item is and whose come first, then what else a field or the title says, what
              only its description mentions, and last what the tagger takes for a word
    telling   of words that are trusted alike, the one that fewest items of the catalog have;
              spellings of one word count together, whatever their categories, and misspellings
              with the word that is meant

Neither asks for groups or slots, so fitting can look at words as encoding will.
Source: OneRetrieval (arXiv 2606.13533), importance of words: subject first.

From attributes to the identifier: one representative word for each group.

Of several words with a slot in a group, the representative is the first by
    1. trust: what the item is, what else its fields or title say, what its description mentions,
       what the tagger takes for a word,
    2. items of the catalog that have the word, in any spelling: fewer first, as it tells more,
    3. the word itself: longer first, then in alphabetical order.

importance.py says why.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from kae.encoders.categories import CATEGORIES, CATEGORY_INDEX, POSITIONS, Identifier
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.extract import Extractor
from kae.encoders.extraction.mentions import DESCRIPTION_SCORE, TITLE_SCORE, UNRANKED, Mention, Rank
from kae.encoders.extraction.title_reader import title_reader
from kae.encoders.items import Attribute, AttributeSource, Encoded, Item

SUBJECT, SAID, MENTIONED, GUESSED = range(4)
# What is sold, by its kind and its brand.
_SUBJECTS = frozenset((CATEGORY_INDEX["entity"], CATEGORY_INDEX["brand"]))


def trust(found: Attribute) -> int:
    """SUBJECT, SAID, MENTIONED or GUESSED; a smaller number is trusted more."""
    if found.source is AttributeSource.TAGGER:
        return GUESSED
    if found.score <= DESCRIPTION_SCORE:
        return MENTIONED
    return SUBJECT if found.category in _SUBJECTS and found.score >= TITLE_SCORE else SAID


def by_telling(words: Iterable[tuple[str, int]]) -> Mapping[str, int]:
    """The place of each spelling among all, from 0, given (spelling of a word, items that have it).

    Of spellings that as many items have, the longer one is first.
    """
    items: Counter[str] = Counter()
    for spelling, having in words:
        items[spelling] += having
    ordered = sorted(items, key=lambda spelling: (items[spelling], -len(spelling), spelling))
    return {spelling: place for place, spelling in enumerate(ordered)}


# An order ends with the slot's index, which UNRANKED has as 0: empty.
_INDEX_BITS = 16
_TELLING_BITS = 24
_INDEX = (1 << _INDEX_BITS) - 1


class Assigner:
    """The representative's order, worked out once for a codebook."""

    def __init__(self, codebook: Codebook) -> None:
        self._positions = [codebook.position_of(index) for index in range(len(CATEGORIES))]
        self._words: list[dict[str, tuple[int, int]]] = [{} for _ in codebook.groups]
        spelled = [(codebook.spelling_of(word), word) for word in codebook.words]
        telling = by_telling((spelling, word.items) for spelling, word in spelled)
        for spelling, word in spelled:
            if word.index:
                of_position = self._words[self._positions[word.category]]
                of_position.setdefault(word.word, (telling[spelling], word.index))

    def rank(self, found: Attribute) -> Rank:
        """Where an attribute stands among those of its group; UNRANKED when it has no slot."""
        position = self._positions[found.category]
        entry = self._words[position].get(found.word)
        if entry is None:
            return UNRANKED
        telling, index = entry
        # Of one position, which of two comes first is told by one comparison of whole numbers.
        order = trust(found) << _TELLING_BITS | telling
        return position, order << _INDEX_BITS | index


def best(found: Iterable[Mention]) -> Identifier:
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
    return best(Mention(attribute, assigner.rank) for attribute in attributes)


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
