"""Searches in sorted arrays, and in many ranges of one array at once."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
RangeBounds = NDArray[np.int64] | NDArray[np.int32]


def expand_ranges(first: RangeBounds, end: RangeBounds) -> tuple[Indices, Indices]:
    """The elements of the ranges first..end, end to end, and the number of each one's range."""
    counts = end - first
    # A running count, shifted to where each range begins.
    shift = np.repeat(first - (np.cumsum(counts) - counts), counts)
    return shift + np.arange(len(shift)), np.repeat(np.arange(len(counts)), counts)


def search_ranges(
    values: NDArray[np.uint16], first: RangeBounds, end: RangeBounds, wanted: NDArray[np.uint16]
) -> tuple[Indices, NDArray[np.bool_]]:
    """The place of each wanted value in its own range of `values`, and whether it is there.

    Each range of `values` is sorted. The place of a value that is missing is any of the array.
    """
    if not len(values):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    places = first.astype(np.int64)  # what is before them is less than what is wanted
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


def unique_counts(ordered: NDArray[Any]) -> tuple[NDArray[Any], Indices]:
    """The distinct values of a sorted array, and how often each occurs."""
    is_first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    first = np.flatnonzero(is_first)
    return ordered[first], np.diff(np.append(first, len(ordered)))


def search_sorted(
    ordered: NDArray[Any], values: NDArray[Any], side: Literal["left", "right"] = "left"
) -> Indices:
    """As numpy's searchsorted, in the type of `ordered`."""
    # Given values of a wider type, numpy would copy all of `ordered` to that type.
    return np.searchsorted(ordered, values.astype(ordered.dtype), side)


def is_in_sorted(values: NDArray[Any], ordered: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each value occurs in a sorted array."""
    if not len(ordered):
        return np.zeros(len(values), np.bool_)
    places = np.minimum(search_sorted(ordered, values), len(ordered) - 1)
    found: NDArray[np.bool_] = ordered.take(places) == values
    return found


def count_in_ranges(ordered: NDArray[Any], first: RangeBounds, end: RangeBounds) -> Indices:
    """How many values of a sorted array are in each range first..end."""
    return search_sorted(ordered, end) - search_sorted(ordered, first)
