"""Many ranges of one array at once: laid end to end, and searched each for a value of its own."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
RangeBounds = NDArray[np.int64] | NDArray[np.int32]


def ranges(first: RangeBounds, end: RangeBounds) -> tuple[Indices, Indices]:
    """The ranges first..end laid end to end, and for each element the number of its range."""
    counts = end - first
    # A running count, moved to each range's beginning.
    moved = np.repeat(first - (np.cumsum(counts) - counts), counts)
    return moved + np.arange(len(moved)), np.repeat(np.arange(len(counts)), counts)


def places_in(
    values: NDArray[np.uint16], first: RangeBounds, end: RangeBounds, wanted: NDArray[np.uint16]
) -> tuple[Indices, NDArray[np.bool_]]:
    """Where each of `wanted` is in its own range of `values`, which rises in it; and whether it is.

    Where it is not, the place is any of the array.
    """
    if not len(values):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    places = first.astype(np.int64)  # before them is less than what is wanted
    step = 1 << int((end - first).max(initial=0)).bit_length() >> 1
    while step:
        last = places + (step - 1)
        is_less = values.take(last, mode="clip") < wanted
        is_less &= last < end
        np.add(places, step, out=places, where=is_less)
        step >>= 1
    found = values.take(places, mode="clip") == wanted
    found &= places < end
    return np.minimum(places, len(values) - 1), found


def once(rising: NDArray[Any]) -> tuple[NDArray[Any], Indices]:
    """The different ones among numbers that rise, and how often each is there."""
    begins = np.ones(len(rising), np.bool_)
    np.not_equal(rising[1:], rising[:-1], out=begins[1:])
    first = np.flatnonzero(begins)
    return rising[first], np.diff(np.append(first, len(rising)))


def places_of(
    rising: NDArray[Any], values: NDArray[Any], side: Literal["left", "right"] = "left"
) -> Indices:
    """Where values would stand among some that rise: left of an equal one, or right of it."""
    # numpy would rather copy all of `rising` than lose a bit of the values' type.
    return np.searchsorted(rising, values.astype(rising.dtype), side)


def is_among(values: NDArray[Any], rising: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each value is one of some that rise."""
    if not len(rising):
        return np.zeros(len(values), np.bool_)
    places = np.minimum(places_of(rising, values), len(rising) - 1)
    found: NDArray[np.bool_] = rising.take(places) == values
    return found


def count_in(rising: NDArray[Any], first: RangeBounds, end: RangeBounds) -> Indices:
    """How many of some numbers that rise are in each range."""
    return places_of(rising, end) - places_of(rising, first)
