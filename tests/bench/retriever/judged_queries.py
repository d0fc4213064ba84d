"""Judged queries as stand-ins for behaviour: what a judge rates high enough counts as bought.

    rating >= 2.33  a click
    rating >= 3     an order

Nobody clicked or bought anything: judges said how well an item answers a query.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from kae.bench.judgements import Ratings
from kae.encoders.retriever.samples import Behaviour

CLICKED, ORDERED = 2.33, 3.0
# Without files of their own, one query of so many is held back.
HELD_BACK_OF = 5


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A query with its ratings by item id."""

    text: str
    ratings: Ratings

    @property
    def clicked(self) -> frozenset[str]:
        return self._rated(CLICKED)

    @property
    def ordered(self) -> frozenset[str]:
        return self._rated(ORDERED)

    def _rated(self, least: float) -> frozenset[str]:
        return frozenset(item for item, rating in self.ratings.items() if rating >= least)


def judged_queries(judged: Mapping[str, Ratings]) -> list[JudgedQuery]:
    """The queries that have a clicked item; the others say nothing about a hit."""
    queries = [JudgedQuery(text, ratings) for text, ratings in judged.items()]
    return [query for query in queries if query.clicked]


def behaviour_of(query: JudgedQuery) -> Behaviour:
    """Judgements as behaviour: what is shown is what was judged."""
    return Behaviour(
        query.text,
        shown=tuple(query.ratings),
        clicked=tuple(sorted(query.clicked)),
        ordered=tuple(sorted(query.ordered)),
    )


def hold_back(judged: Mapping[str, Ratings]) -> tuple[dict[str, Ratings], dict[str, Ratings]]:
    """Divide judgements by query, always alike: for training, and held back."""
    train: dict[str, Ratings] = {}
    held: dict[str, Ratings] = {}
    for query, ratings in judged.items():
        (held if _is_held_back(query) else train)[query] = ratings
    return train, held


def _is_held_back(query: str) -> bool:
    number = int.from_bytes(hashlib.blake2b(query.encode(), digest_size=4).digest(), "big")
    return number % HELD_BACK_OF == 0
