"""What a decode asks of a view's layers, of hundreds of prefixes at once.

    mask       which slots may come next: those under which a live item hangs
    children   the same, as pairs
    count      how many live items are below
    items      the live items behind whole paths: the pinned ones of a term, then the most popular

A prefix is the slots chosen so far, one a position; a batch of them is an array (prefixes, depth).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.sinks.trie.prefixes import Pairs, Prefixes, PrefixQuery
from kae.sinks.trie.ranges import Indices
from kae.sinks.trie.stack import Stack

# Up to so many children, gathering them costs less than a mask.
FEW = 65_536


class PrefixInvalid(ValueError):
    """Prefixes, or a width, that no decode over these paths can have."""


# The place of what is not pinned: after all that is.
UNPINNED = 1 << 30


@dataclass(frozen=True, slots=True)
class Entered:
    """Entries, an element each: the item, and the binding whose path led to it."""

    shards: NDArray[np.uint16]
    ordinals: NDArray[np.uint32]
    bindings: NDArray[np.int64]


def nowhere(entered: Entered) -> Indices:
    """The places among pins where nothing is pinned."""
    return np.full(len(entered.ordinals), UNPINNED, np.int64)


@dataclass(frozen=True, slots=True)
class Behind:
    """The items behind some paths: those of path n are first[n]:first[n + 1], ranked.

    Shapes: first (paths + 1,), else (items,). `bindings` is 0 where an item's own path led to it.
    """

    first: Indices
    shards: NDArray[np.uint16]
    ordinals: NDArray[np.uint32]
    bindings: NDArray[np.int64]
    popularity: NDArray[np.float32]


def mask(stack: Stack, prefixes: Prefixes, slots: int) -> NDArray[np.bool_]:
    """(prefixes, slots): exactly the slots under which, after each, at least one live item hangs.

    `slots` is the capacity of the position that comes next.
    Raises: PrefixInvalid.
    """
    depth = _depth(prefixes, POSITIONS - 1)
    used = stack.width(depth)
    if used > slots:
        raise PrefixInvalid(
            f"position {depth}: slot {used - 1} is in use, the mask asked for has {slots} slots; "
            "ask for as many as the codebook's position has"
        )
    if not depth:
        # All of them are the root.
        return np.repeat(stack.allowed(PrefixQuery.of(prefixes[:1]), slots), len(prefixes), axis=0)
    return stack.allowed(PrefixQuery.of(prefixes), slots)


def children(stack: Stack, prefixes: Prefixes) -> Pairs:
    """The slots that may come next, rising for each prefix, and the number of each one's prefix.

    Raises: PrefixInvalid.
    """
    found = few_children(stack, prefixes, FEW)
    if found is None:
        places, slots = np.nonzero(mask(stack, prefixes, stack.width(prefixes.shape[1])))
        return places, slots.astype(np.uint16)
    pairs = np.sort(found[0] << 16 | found[1])
    return pairs >> 16, (pairs & 0xFFFF).astype(np.uint16)


def few_children(stack: Stack, prefixes: Prefixes, most: int) -> Pairs | None:
    """The pairs of `children` in any order; None where a mask is cheaper: when more than `most`
    would have to be looked at.

    Raises: PrefixInvalid.
    """
    _depth(prefixes, POSITIONS - 1)
    return stack.few_children(PrefixQuery.of(prefixes), most)


def count(stack: Stack, prefixes: Prefixes) -> Indices:
    """The live items below each prefix; one that several paths lead to counts once.

    Raises: PrefixInvalid.
    """
    _depth(prefixes, POSITIONS)
    asked = PrefixQuery.of(prefixes)
    total: Indices = sum(
        (layer.count(asked) for layer in stack.layers), np.zeros(len(prefixes), int)
    )
    return total


def items(
    stack: Stack,
    paths: Prefixes,
    limit: int,
    pin_places: Callable[[Entered], Indices] = nowhere,
) -> Behind:
    """At most `limit` live items behind each path: the more popular first, then by shard and age.

    Before them come those that `pin_places` gives a place, by it.
    Raises: PrefixInvalid.
    """
    if _depth(paths, POSITIONS) != POSITIONS:
        raise PrefixInvalid(f"paths have {POSITIONS} slots, these {paths.shape[1]}; decode further")
    asked = PrefixQuery.of(paths)
    found = [(layer.trie.entries, *layer.entries_behind(asked)) for layer in stack.layers]
    places = np.concatenate([places for _, _, places in found])
    shards = np.concatenate([entries.shards[chosen] for entries, chosen, _ in found])
    ordinals = np.concatenate([entries.ordinals[chosen] for entries, chosen, _ in found])
    bindings = np.concatenate([entries.bindings[chosen] for entries, chosen, _ in found])
    popularity = np.concatenate([entries.popularity[chosen] for entries, chosen, _ in found])
    pins = pin_places(Entered(shards, ordinals, bindings))
    order = np.lexsort((ordinals, shards, -popularity, pins, places))
    sizes = np.bincount(places, minlength=len(paths))
    ranks = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept = order[ranks < limit]
    first = np.append(0, np.cumsum(np.minimum(sizes, limit)))
    return Behind(first, shards[kept], ordinals[kept], bindings[kept], popularity[kept])


def _depth(prefixes: Prefixes, most: int) -> int:
    if prefixes.ndim != 2 or prefixes.dtype != np.uint16 or prefixes.shape[1] > most:
        raise PrefixInvalid(
            f"prefixes are {prefixes.dtype} of shape {prefixes.shape}; give uint16 of shape "
            f"(prefixes, 0 to {most})"
        )
    return int(prefixes.shape[1])
