"""From an item to its identifier: in each group, one of the item's words is the representative.

Of several words with a slot in one group, the representative is the first by
    1. trust: entity and brand first, then other words of fields and title, then words of the
       description, and last words that the tagger found,
    2. importance, where the codebook knows behaviour: the word that queries say most often when an
       item with it is chosen (fitting/importance.py), in steps of a sixty-fourth,
    3. rarity: the word that fewest items of the catalog have, since it says most about the item;
       all spellings of a word count together, whatever their category, misspellings included,
    4. the word itself: the longer one first, then alphabetical order.

None of these depends on groups or slots, so fitting can rank words as encoding will.
Source: OneRetrieval (arXiv 2606.13533), importance of words: subject first, then behaviour.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from kae.encoders.categories import CATEGORIES, CATEGORY_INDEX, POSITIONS, Identifier
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.extract import Extractor
from kae.encoders.extraction.mentions import DESCRIPTION_SCORE, TITLE_SCORE, UNRANKED, Mention, Rank
from kae.encoders.extraction.title_reader import open_title_reader
from kae.encoders.items import Attribute, AttributeSource, Encoded, Item
from kae.encoders.text.markup import plain_items
from kae.encoders.text.measures import INCHES, inch_key

SUBJECT, STATED, MENTIONED, GUESSED = range(4)
# The kind of product, and its brand.
_SUBJECTS = frozenset((CATEGORY_INDEX["entity"], CATEGORY_INDEX["brand"]))


def trust_rank(found: Attribute) -> int:
    """Return SUBJECT, STATED, MENTIONED or GUESSED; a smaller number is trusted more."""
    if found.source is AttributeSource.TAGGER:
        return GUESSED
    if found.score <= DESCRIPTION_SCORE:
        return MENTIONED
    return SUBJECT if found.category in _SUBJECTS and found.score >= TITLE_SCORE else STATED


def rank_spellings(
    words: Iterable[tuple[str, int]], importance: Mapping[str, int] = MappingProxyType({})
) -> Mapping[str, int]:
    """Rank spelling keys, from 0, given (spelling key of a word, items that have it).

    The most important ones come first, of equally important ones the rarest, then the longest.
    """
    items: Counter[str] = Counter()
    for spelling, having in words:
        items[spelling] += having

    def order(spelling: str) -> tuple[int, int, int, str]:
        step = importance.get(spelling, 0) * _IMPORTANCE_STEPS // 1000
        return -step, items[spelling], -len(spelling), spelling

    ordered = sorted(items, key=order)
    return {spelling: place for place, spelling in enumerate(ordered)}


_IMPORTANCE_STEPS = 64
# The low bits of an order are the slot's index; in UNRANKED they are 0, the empty slot.
_INDEX_BITS = 16
_RARITY_BITS = 24
_INDEX = (1 << _INDEX_BITS) - 1


class Assigner:
    """Ranks attributes; the order of all words of a codebook is computed once."""

    def __init__(self, codebook: Codebook) -> None:
        self._positions = [codebook.position_of(index) for index in range(len(CATEGORIES))]
        self._words: list[dict[str, tuple[int, int]]] = [{} for _ in codebook.groups]
        self._inches: list[dict[str, tuple[int, int]]] = [{} for _ in codebook.groups]
        spelled = [(codebook.spelling_key_of(word), word) for word in codebook.words]
        importance = {spelling: word.importance for spelling, word in spelled}
        rarity = rank_spellings(((spelling, word.items) for spelling, word in spelled), importance)
        for spelling, word in spelled:
            if word.index:
                position = self._positions[word.category]
                self._words[position].setdefault(word.word, (rarity[spelling], word.index))
                if word.word.endswith(INCHES):
                    key = inch_key(word.word)
                    self._inches[position].setdefault(key, (rarity[spelling], word.index))

    def rank(self, found: Attribute) -> Rank:
        """Rank an attribute among those of its group; UNRANKED when it has no slot."""
        position = self._positions[found.category]
        entry = self._words[position].get(found.word)
        if entry is None and found.word.endswith(INCHES):
            # "27in" has the slot of "27inch" in a catalog that wrote nothing else.
            entry = self._inches[position].get(inch_key(found.word))
        if entry is None:
            return UNRANKED
        rarity, index = entry
        # Comparing two ranks of one position is a single integer comparison.
        order = trust_rank(found) << _RARITY_BITS | rarity
        return position, order << _INDEX_BITS | index


def pick_identifier(found: Iterable[Mention]) -> Identifier:
    """Return the slot of the first mention of each position."""
    first = [UNRANKED[1]] * POSITIONS
    for one in found:
        if one.order < first[one.position]:
            first[one.position] = one.order
    a, b, c, d, e, f = [order & _INDEX for order in first]
    return (a, b, c, d, e, f)


def assign(codebook: Codebook, attributes: Iterable[Attribute]) -> Identifier:
    """Return the identifier of one item; for many items, keep an Encoder."""
    assigner = Assigner(codebook)
    return pick_identifier(Mention(attribute, assigner.rank) for attribute in attributes)


class Encoder:
    """Turns items into text, attributes and identifier; workers and backfill both use it.

    Raises: TaggerInvalid when the codebook's tagger has been damaged since it was loaded.
    """

    def __init__(self, codebook: Codebook) -> None:
        self.fingerprint = codebook.fingerprint
        self._codebook = codebook
        self._assigner = Assigner(codebook)
        rank = self._assigner.rank
        self._extractor = Extractor(codebook, rank, open_title_reader(codebook, rank))

    @property
    def reads_titles(self) -> bool:
        """Whether a tagger may read titles, which makes encoding a thousand times slower."""
        return self._codebook.tagger is not None

    def encode(self, item: Item) -> Encoded:
        return self.encode_all([item])[0]

    def encode_all(self, items: Sequence[Item]) -> list[Encoded]:
        """Encode many items at half the cost; each result is as if the item were alone."""
        items = plain_items(items)
        texts, attributes = self._extractor.find(items)
        return [
            Encoded(
                item.title, text, tuple([one.attribute for one in found]), pick_identifier(found)
            )
            for item, text, found in zip(items, texts, attributes, strict=True)
        ]
