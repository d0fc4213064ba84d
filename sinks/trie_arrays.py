"""A trie and its layers as a row of arrays, in an order of their own: to be laid where others map
them, and read from there."""

from collections.abc import Iterator

import numpy as np

from kae.encoders.categories import POSITIONS
from kae.sinks.array_file import Array
from kae.sinks.bit_rows import BitRows
from kae.sinks.layer import Layer
from kae.sinks.stack import Changed, Stack
from kae.sinks.trie import Entries, Level, TrieView


def arrays_of_trie(trie: TrieView) -> Iterator[Array]:
    entries = trie.entries
    yield from (entries.slots, entries.shards, entries.ordinals)
    yield from (entries.bindings, entries.apart, entries.popularity)
    for level in trie.levels:
        yield from (level.slot, level.key, level.first_child, level.popularity)
    for rows in trie.rows:
        yield from (rows.nodes, rows.bits, np.array([rows.width]))
    yield from trie.bound
    yield np.array(sorted(trie.bindings), np.int64)


def trie_of_arrays(arrays: Iterator[Array]) -> TrieView:
    """The trie that the next arrays are of."""
    entries = Entries(*_next(arrays, 6))
    levels = [Level(*_next(arrays, 4)) for _ in range(POSITIONS)]
    rows = []
    for _ in range(POSITIONS):
        nodes, bits, width = _next(arrays, 3)
        rows.append(BitRows(nodes, bits, int(width[0])))
    bound = tuple(_next(arrays, POSITIONS + 1))
    bindings = frozenset(next(arrays).tolist())
    return TrieView(entries, tuple(levels), tuple(rows), bound, bindings)


def arrays_of_dead(layer: Layer) -> Iterator[Array]:
    """What is dead in a layer; its trie stands elsewhere."""
    yield layer.dead
    yield from layer.gone
    yield from layer.bound


def layer_of_arrays(trie: TrieView, arrays: Iterator[Array]) -> Layer:
    """The layer of a trie in which the next arrays say what is dead."""
    (dead,) = _next(arrays, 1)
    return Layer(trie, dead, tuple(_next(arrays, POSITIONS)), tuple(_next(arrays, POSITIONS + 1)))


def arrays_of_changed(stack: Stack) -> Iterator[Array]:
    """How the base's children differ by now."""
    for changed in stack.changed:
        yield from (changed.nodes, changed.first, changed.slots, changed.allowed)


def stack_of_arrays(base: Layer, overlay: Layer, arrays: Iterator[Array]) -> Stack:
    """The stack of two layers that the next arrays say the rest of."""
    changed = tuple(Changed(*_next(arrays, 4)) for _ in range(POSITIONS))
    return Stack(base, overlay, changed)


def _next(arrays: Iterator[Array], count: int) -> list[Array]:
    return [next(arrays) for _ in range(count)]
