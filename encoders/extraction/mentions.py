"""Attributes found in an item, with what merging and assigning need precomputed.

There are few attributes and many items, so items that have the same word in the same way share one
Mention.
"""

from collections.abc import Callable, Iterable

import msgspec

from kae.encoders.items import Attribute

ATTRIBUTES_OF_AN_ITEM = 256
CONFIRMED_SCORE = 1.0  # a field's word that the title has too
FIELD_SCORE = 0.95
TITLE_SCORE = 0.9
DESCRIPTION_SCORE = 0.5
# The position of an attribute, and its order among those of that position: the lowest wins.
Rank = tuple[int, int]
RankOf = Callable[[Attribute], Rank]
UNRANKED: Rank = (0, 1 << 62)


class Mention:
    """An attribute; `confirmed` replaces it when the title has the field's word too."""

    __slots__ = ("attribute", "confirmed", "key", "order", "position")

    def __init__(self, attribute: Attribute, rank: RankOf) -> None:
        self.attribute = attribute
        self.key = f"{attribute.category} {attribute.word}"
        self.position, self.order = rank(attribute)
        self.confirmed: Mention | None = None
        if attribute.score == FIELD_SCORE:
            confirmed = msgspec.structs.replace(attribute, score=CONFIRMED_SCORE)
            self.confirmed = Mention(confirmed, rank)


def merge_mentions(
    fields: Iterable[Mention], title: Iterable[Mention], description: Iterable[Mention]
) -> list[Mention]:
    """Return each (category, word) once, from its most trusted source."""
    found: dict[str, Mention] = {}
    for one in fields:
        found.setdefault(one.key, one)
    for one in title:
        earlier = found.setdefault(one.key, one)
        if earlier is not one and earlier.confirmed is not None:
            found[one.key] = earlier.confirmed
    for one in description:
        found.setdefault(one.key, one)
    return list(found.values())[:ATTRIBUTES_OF_AN_ITEM]
