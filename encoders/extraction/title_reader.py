"""The tagger as a source of attributes: it reads titles of items that lack important words.

A title is read when the item has no word in some category of REQUIRED. The values found then count
in every category in which the item has no word yet, so a guess never contradicts what is known.
"""

from collections.abc import Sequence
from functools import lru_cache

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.mentions import ATTRIBUTES_OF_AN_ITEM, Mention, RankOf
from kae.encoders.items import Attribute, AttributeSource, Item
from kae.encoders.tagger.tagger import Tagged, Tagger
from kae.encoders.tagger.weights import TaggerSource
from kae.encoders.text.measures import canonical
from kae.encoders.text.search_form import NEWEST_FORM, SearchForm
from kae.encoders.text.values import is_word

# What nearly every product has. Most items never have a word of the other categories (three in four
# of the demo's have no location, scene or season), and reading a title costs 15 ms.
REQUIRED = frozenset(CATEGORY_INDEX[name] for name in ("entity", "brand", "color"))


class TitleReader:
    """Adds the tagger's words to mentions; the result does not depend on the other items."""

    def __init__(self, tagger: Tagger, rank: RankOf, form: SearchForm = NEWEST_FORM) -> None:
        self._tagger = tagger
        self._rank = rank
        self._form = form

    def extend(self, items: Sequence[Item], found: Sequence[list[Mention]]) -> None:
        """Append to each item's mentions; all titles are read together."""
        open_items = [
            (item.title, of_item, closed)
            for item, of_item in zip(items, found, strict=True)
            if not (closed := {one.attribute.category for one in of_item}) >= REQUIRED
        ]
        tagged = self._tagger.tag([title for title, _, _ in open_items])
        for (title, of_item, closed), values in zip(open_items, tagged, strict=True):
            room = ATTRIBUTES_OF_AN_ITEM - len(of_item)
            of_item.extend(self._mentions_in(title, values, closed)[:room])

    def _mentions_in(self, title: str, values: Sequence[Tagged], closed: set[int]) -> list[Mention]:
        found: dict[str, Mention] = {}
        for value in values:
            surface = self._form.normalise(title[value.begin : value.end])
            word = canonical(surface)
            if value.category not in closed and is_word(word, value.category):
                attribute = Attribute(
                    value.category, word, surface, AttributeSource.TAGGER, value.score
                )
                one = Mention(attribute, self._rank)
                found.setdefault(one.key, one)
        return list(found.values())


def open_title_reader(codebook: Codebook, rank: RankOf) -> TitleReader | None:
    """Load the tagger of a codebook; None if the codebook has no tagger.

    Raises: TaggerInvalid.
    """
    if codebook.tagger is None:
        return None
    return TitleReader(
        load_tagger(codebook.tagger, codebook.form.decimal_mark), rank, codebook.form
    )


@lru_cache(maxsize=1)
def load_tagger(tagger: TaggerSource, decimal_mark: str) -> Tagger:
    """Load a tagger once for all passes over a catalog, since it caches the titles that it read."""
    return Tagger(tagger.folder, decimal_mark)
