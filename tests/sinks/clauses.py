"""Clauses of a query, as a search gives them to the beam."""

from collections.abc import Mapping

import numpy as np

from kae.encoders.categories import POSITIONS, Slot
from kae.sinks.trie.beam import QueryClause

_INDICES = 100


def clause(weight: float, slots: Mapping[Slot, float]) -> QueryClause:
    """A clause of a weight, with the worth of slots for it."""
    worth = [np.zeros(_INDICES, np.float32) for _ in range(POSITIONS)]
    for slot, share in slots.items():
        worth[slot.position][slot.index] = share
    return QueryClause(weight, worth)
