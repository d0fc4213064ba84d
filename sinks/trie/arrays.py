"""Arrays in a file that other processes map: written once, and whole before anybody opens it.

8 bytes    the length of the header
header     msgpack: a note of the writer's, then type, shape and place of each array
arrays     each begins at a multiple of 64 bytes

A trie and its layers as a row of arrays, in an order of their own: to be laid where others map
them, and read from there.
"""

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.sinks.trie.bit_rows import BitRows
from kae.sinks.trie.layer import Layer
from kae.sinks.trie.stack import Changed, Stack
from kae.sinks.trie.trie import Entries, Level, TrieView

ALIGNED = 64
_LENGTH = 8
Array = NDArray[Any]


class _Placed(msgspec.Struct, array_like=True):
    type: str
    shape: tuple[int, ...]
    begin: int


class _Header(msgspec.Struct, array_like=True):
    note: bytes
    arrays: list[_Placed]


class ArrayFileBroken(Exception):
    """A file that does not hold what its header says."""


def write_arrays(path: Path, arrays: Sequence[Array], note: bytes = b"") -> None:
    """Write a new file. Raises: OSError, also where it is there already."""
    placed, begin = [], 0
    for array in arrays:
        placed.append(_Placed(array.dtype.str, array.shape, begin))
        begin = _aligned(begin + array.nbytes)
    header = msgspec.msgpack.encode(_Header(note, placed))
    first = _aligned(_LENGTH + len(header))
    with path.open("xb") as file:
        file.write(len(header).to_bytes(_LENGTH, "little") + header)
        for array, place in zip(arrays, placed, strict=True):
            if array.nbytes:
                file.seek(first + place.begin)
                file.write(np.ascontiguousarray(array).data)
        file.truncate(first + begin)


def map_arrays(path: Path) -> tuple[bytes, list[Array]]:
    """The note, and the arrays as they lie in the file: nothing is copied, none can be written.

    They stay readable when the file is removed. Raises: OSError, ArrayFileBroken.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size < _LENGTH:
            raise ArrayFileBroken(f"{path}: {size} bytes, too few for a header")
        mapped = mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)
    length = int.from_bytes(mapped[:_LENGTH], "little")
    try:
        header = msgspec.msgpack.decode(mapped[_LENGTH : _LENGTH + length], type=_Header)
        first = _aligned(_LENGTH + length)
        arrays = [
            np.ndarray(one.shape, one.type, mapped, first + one.begin) for one in header.arrays
        ]
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        raise ArrayFileBroken(f"{path}: {error}") from error
    return header.note, arrays


def _aligned(place: int) -> int:
    return -(-place // ALIGNED) * ALIGNED


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
