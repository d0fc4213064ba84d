"""What a query wants, as a search hands it to the beam."""

from collections.abc import Mapping

import numpy as np

from kae.encoders.categories import POSITIONS, Slot
from kae.sinks.trie.beam import Wanted

_INDICES = 100


def wanted(weight: float, slots: Mapping[Slot, float]) -> Wanted:
    """A want of a weight, and the worth of slots for it."""
    worth = [np.zeros(_INDICES, np.float32) for _ in range(POSITIONS)]
    for slot, share in slots.items():
        worth[slot.position][slot.index] = share
    return Wanted(weight, worth)
