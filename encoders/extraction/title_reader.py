"""The tagger as a source of attributes: it reads the titles that fields and dictionary leave open.

A title is read when the item has no word of some category of REQUIRED; what is found then counts in
every category of which the item has no word yet, so a guess never contradicts what is known.
"""

from collections.abc import Sequence
from functools import lru_cache

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.mentions import ATTRIBUTES_OF_AN_ITEM, Mention, Ranks
from kae.encoders.items import Attribute, AttributeSource, Item
from kae.encoders.tagger.tagger import Tagged, Tagger
from kae.encoders.tagger.weights import TaggerSource
from kae.encoders.text.measures import canonical
from kae.encoders.text.normal_form import normalise
from kae.encoders.text.values import is_word

# What nearly every product can be asked for by. Other categories are open for good: of the demo's
# items three in four have no word of place, scene or season, and a title costs 15 ms.
REQUIRED = frozenset(CATEGORY_INDEX[name] for name in ("entity", "brand", "color"))


class TitleReader:
    """Adds the tagger's words to what was found; the same for an item alone and among others."""

    def __init__(self, tagger: Tagger, rank: Ranks) -> None:
        self._tagger = tagger
        self._rank = rank

    def complete(self, items: Sequence[Item], found: Sequence[list[Mention]]) -> None:
        """Append to each item's list; the titles of all are read together."""
        open_items = [
            (item.title, of_item, closed)
            for item, of_item in zip(items, found, strict=True)
            if not (closed := {one.attribute.category for one in of_item}) >= REQUIRED
        ]
        tagged = self._tagger.tag([title for title, _, _ in open_items])
        for (title, of_item, closed), values in zip(open_items, tagged, strict=True):
            room = ATTRIBUTES_OF_AN_ITEM - len(of_item)
            of_item.extend(self._found(title, values, closed)[:room])

    def _found(self, title: str, values: Sequence[Tagged], closed: set[int]) -> list[Mention]:
        found: dict[str, Mention] = {}
        for value in values:
            surface = normalise(title[value.begin : value.end])
            word = canonical(surface)
            if value.category not in closed and is_word(word, value.category):
                attribute = Attribute(
                    value.category, word, surface, AttributeSource.TAGGER, value.score
                )
                one = Mention(attribute, self._rank)
                found.setdefault(one.key, one)
        return list(found.values())


def title_reader(codebook: Codebook, rank: Ranks) -> TitleReader | None:
    """The reader that a codebook asks for, its tagger loaded.

    Raises: TaggerInvalid.
    """
    return TitleReader(opened(codebook.tagger), rank) if codebook.tagger else None


@lru_cache(maxsize=1)
def opened(tagger: TaggerSource) -> Tagger:
    """One for the passes over a catalog: it keeps the titles that it has read."""
    return Tagger(tagger.folder)
