"""What was found in an item, with all that joining and assigning ask of it worked out once.

Attributes are few and items many: every item that has the same word in the same way shares a Found.
"""

from collections.abc import Callable, Iterable

import msgspec

from kae.encoders.items import Attribute

ATTRIBUTES_OF_AN_ITEM = 256
CONFIRMED_SCORE = 1.0  # of a field's word that the title has too
FIELD_SCORE = 0.95
TITLE_SCORE = 0.9
DESCRIPTION_SCORE = 0.5
# Where an attribute stands: a position, and its place among those of the position, lower first.
Rank = tuple[int, int]
Ranks = Callable[[Attribute], Rank]
UNRANKED: Rank = (0, 1 << 62)


class Mention:
    """An attribute; `confirmed` is what a field's word becomes when the title has it too."""

    __slots__ = ("attribute", "confirmed", "key", "order", "position")

    def __init__(self, attribute: Attribute, rank: Ranks) -> None:
        self.attribute = attribute
        self.key = f"{attribute.category} {attribute.word}"
        self.position, self.order = rank(attribute)
        self.confirmed: Mention | None = None
        if attribute.score == FIELD_SCORE:
            confirmed = msgspec.structs.replace(attribute, score=CONFIRMED_SCORE)
            self.confirmed = Mention(confirmed, rank)


def join(
    fields: Iterable[Mention], title: Iterable[Mention], description: Iterable[Mention]
) -> list[Mention]:
    """Each (category, word) once, from its most trusted source."""
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
