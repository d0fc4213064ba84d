"""What a decode asks of a trie, for hundreds of prefixes at once.

    mask       the slots that may come next: those under which there is a live item
    children   the same, as pairs
    count      the number of live items below
    items      the live items of whole paths: the pinned ones of a term, then the most popular

A prefix is the slots chosen so far, one a position; a batch of them is an array (prefixes, depth).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.sinks.trie.merged_trie import MergedTrie
from kae.sinks.trie.prefixes import ChildPairs, Prefixes, PrefixQuery
from kae.sinks.trie.sorted_arrays import Indices

# Gathering up to so many children costs less than a mask.
FEW = 65_536
# The pin rank of an item that is not pinned: after all pinned ones.
UNPINNED = 1 << 30


class PrefixInvalid(ValueError):
    """Prefixes, or a width, that do not fit the trie."""


@dataclass(frozen=True, slots=True)
class EntryItems:
    """The items of some entries, an element each; `bindings` is 0 for an item's own path."""

    shards: NDArray[np.uint16]
    ordinals: NDArray[np.uint32]
    bindings: NDArray[np.int64]


def unpinned(entries: EntryItems) -> Indices:
    """The pin ranks where nothing is pinned."""
    return np.full(len(entries.ordinals), UNPINNED, np.int64)


@dataclass(frozen=True, slots=True)
class PathItems:
    """The items of some paths, ranked; those of path n are first[n]:first[n + 1].

    Shapes: first (paths + 1,), else (items,). `bindings` is 0 for an item's own path.
    """

    first: Indices
    shards: NDArray[np.uint16]
    ordinals: NDArray[np.uint32]
    bindings: NDArray[np.int64]
    popularity: NDArray[np.float32]


def mask(trie: MergedTrie, prefixes: Prefixes, slots: int) -> NDArray[np.bool_]:
    """(prefixes, slots): exactly the slots after each prefix under which there is a live item.

    `slots` is the capacity of the next position.
    Raises: PrefixInvalid.
    """
    depth = _depth(prefixes, POSITIONS - 1)
    used = trie.width(depth)
    if used > slots:
        raise PrefixInvalid(
            f"position {depth}: slot {used - 1} is in use, the mask asked for has {slots} slots; "
            "ask for as many as the codebook's position has"
        )
    if not depth:
        # Every prefix is the root.
        root = PrefixQuery.of(prefixes[:1])
        return np.repeat(trie.live_child_mask(root, slots), len(prefixes), axis=0)
    return trie.live_child_mask(PrefixQuery.of(prefixes), slots)


def children(trie: MergedTrie, prefixes: Prefixes) -> ChildPairs:
    """The slots that may come next, rising for each prefix, and the row of each one's prefix.

    Raises: PrefixInvalid.
    """
    found = few_children(trie, prefixes, FEW)
    if found is None:
        rows, slots = np.nonzero(mask(trie, prefixes, trie.width(prefixes.shape[1])))
        return rows, slots.astype(np.uint16)
    pairs = np.sort(found[0] << 16 | found[1])
    return pairs >> 16, (pairs & 0xFFFF).astype(np.uint16)


def few_children(trie: MergedTrie, prefixes: Prefixes, most: int) -> ChildPairs | None:
    """The pairs of `children` in any order.

    None if there may be more than `most`: then a mask costs less.
    Raises: PrefixInvalid.
    """
    _depth(prefixes, POSITIONS - 1)
    return trie.few_children(PrefixQuery.of(prefixes), most)


def count(trie: MergedTrie, prefixes: Prefixes) -> Indices:
    """The number of live items below each prefix; an item with several paths there counts once.

    Raises: PrefixInvalid.
    """
    _depth(prefixes, POSITIONS)
    query = PrefixQuery.of(prefixes)
    total: Indices = sum((part.count(query) for part in trie.parts), np.zeros(len(prefixes), int))
    return total


def items(
    trie: MergedTrie,
    paths: Prefixes,
    limit: int,
    pin_ranks: Callable[[EntryItems], Indices] = unpinned,
) -> PathItems:
    """At most `limit` live items of each path, by pin rank, popularity, shard and ordinal.

    Raises: PrefixInvalid.
    """
    if _depth(paths, POSITIONS) != POSITIONS:
        raise PrefixInvalid(f"paths have {POSITIONS} slots, these {paths.shape[1]}; decode further")
    query = PrefixQuery.of(paths)
    found = [(part.trie.entries, *part.entries_of_paths(query)) for part in trie.parts]
    rows = np.concatenate([rows for _, _, rows in found])
    shards = np.concatenate([entries.shards[chosen] for entries, chosen, _ in found])
    ordinals = np.concatenate([entries.ordinals[chosen] for entries, chosen, _ in found])
    bindings = np.concatenate([entries.bindings[chosen] for entries, chosen, _ in found])
    popularity = np.concatenate([entries.popularity[chosen] for entries, chosen, _ in found])
    pins = pin_ranks(EntryItems(shards, ordinals, bindings))
    order = np.lexsort((ordinals, shards, -popularity, pins, rows))
    sizes = np.bincount(rows, minlength=len(paths))
    ranks = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept = order[ranks < limit]
    first = np.append(0, np.cumsum(np.minimum(sizes, limit)))
    return PathItems(first, shards[kept], ordinals[kept], bindings[kept], popularity[kept])


def _depth(prefixes: Prefixes, most: int) -> int:
    if prefixes.ndim != 2 or prefixes.dtype != np.uint16 or prefixes.shape[1] > most:
        raise PrefixInvalid(
            f"prefixes are {prefixes.dtype} of shape {prefixes.shape}; give uint16 of shape "
            f"(prefixes, 0 to {most})"
        )
    return int(prefixes.shape[1])
