"""How well identifiers tell items apart, whichever codebook they come from.

Source of CUR and ICR: OneRetrieval (arXiv 2606.13533), section 3.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from kae.encoders.presence import entropy

COVERED_POSITIONS = 3
_PERCENTILE = 0.99


class Quality(msgspec.Struct, frozen=True):
    """Measures of the identifiers of a catalog's items."""

    coverage: float  # share of items with at least three positions that are not empty
    icr: float  # share of items whose identifier is theirs alone
    cur: tuple[float, ...]  # of each position: codes used / capacity
    bits_per_item: float  # entropy of the identifiers
    items_per_identifier_p99: int  # 99 of 100 identifiers have at most so many items


def measure(
    codes: NDArray[np.integer], capacities: Sequence[int], *, has_empty: bool = True
) -> Quality:
    """Measure identifiers, a row an item; `has_empty`: code 0 says nothing."""
    items = len(codes)
    if not items:
        return Quality(0.0, 0.0, (0.0,) * len(capacities), 0.0, 0)
    _, shared = np.unique(codes, axis=0, return_counts=True)
    filled = (codes > 0).sum(axis=1) if has_empty else np.full(items, codes.shape[1])
    used = [len(np.unique(codes[:, position])) for position in range(codes.shape[1])]
    ordered = np.sort(shared)
    return Quality(
        coverage=round(float((filled >= COVERED_POSITIONS).mean()), 4),
        icr=round(float((shared == 1).sum() / items), 4),
        cur=tuple(round(n / capacity, 4) for n, capacity in zip(used, capacities, strict=True)),
        bits_per_item=round(entropy((shared / items).tolist()), 4),
        # The nearest rank.
        items_per_identifier_p99=int(ordered[int(np.ceil(_PERCENTILE * len(ordered))) - 1]),
    )
