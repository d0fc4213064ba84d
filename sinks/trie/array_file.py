"""A file of arrays that other processes map, and the tries of views as arrays.

8 bytes    the length of the header
header     msgpack: the writer's note, then type, shape and place of each array
arrays     each begins at a multiple of 64 bytes

A file is complete before anybody opens it, and never changes.
"""

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import POSITIONS
from kae.sinks.trie.child_bitmaps import ChildBitmaps
from kae.sinks.trie.live_trie import LiveTrie
from kae.sinks.trie.merged_trie import ChildChanges, MergedTrie
from kae.sinks.trie.trie import Entries, Level, Trie

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
    """A file whose content does not match its header."""


def write_arrays(path: Path, arrays: Sequence[Array], note: bytes = b"") -> None:
    """Write a new file. Raises: OSError, FileExistsError among others."""
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
    """The note and the arrays of a file, mapped read-only: nothing is copied.

    They stay readable after the file is removed. Raises: OSError, ArrayFileBroken.
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


def trie_to_arrays(trie: Trie) -> Iterator[Array]:
    entries = trie.entries
    yield from (entries.slots, entries.shards, entries.ordinals)
    yield from (entries.bindings, entries.diverges_at, entries.popularity)
    for level in trie.levels:
        yield from (level.slot, level.key, level.first_child, level.popularity)
    for bitmaps in trie.child_bitmaps:
        yield from (bitmaps.nodes, bitmaps.bits, np.array([bitmaps.width]))
    yield from trie.bound_entries
    yield np.array(sorted(trie.bindings), np.int64)


def trie_from_arrays(arrays: Iterator[Array]) -> Trie:
    """The trie that the next arrays are of."""
    entries = Entries(*_next(arrays, 6))
    levels = [Level(*_next(arrays, 4)) for _ in range(POSITIONS)]
    child_bitmaps = []
    for _ in range(POSITIONS):
        nodes, bits, width = _next(arrays, 3)
        child_bitmaps.append(ChildBitmaps(nodes, bits, int(width[0])))
    bound_entries = tuple(_next(arrays, POSITIONS + 1))
    bindings = frozenset(next(arrays).tolist())
    return Trie(entries, tuple(levels), tuple(child_bitmaps), bound_entries, bindings)


def dead_to_arrays(live: LiveTrie) -> Iterator[Array]:
    """What is dead in a trie, without the trie."""
    yield live.dead_entries
    yield from live.dead_nodes
    yield from live.dead_bound


def live_trie_from_arrays(trie: Trie, arrays: Iterator[Array]) -> LiveTrie:
    """A trie with the dead that the next arrays are of."""
    (dead,) = _next(arrays, 1)
    dead_nodes = tuple(_next(arrays, POSITIONS))
    return LiveTrie(trie, dead, dead_nodes, tuple(_next(arrays, POSITIONS + 1)))


def changes_to_arrays(merged: MergedTrie) -> Iterator[Array]:
    """How the children of the base differ in the merged trie."""
    for changes in merged.changes:
        yield from (changes.nodes, changes.first, changes.slots, changes.is_live)


def merged_trie_from_arrays(
    base: LiveTrie, overlay: LiveTrie, arrays: Iterator[Array]
) -> MergedTrie:
    """The merged trie of two, with the changes that the next arrays are of."""
    changes = tuple(ChildChanges(*_next(arrays, 4)) for _ in range(POSITIONS))
    return MergedTrie(base, overlay, changes)


def _next(arrays: Iterator[Array], count: int) -> list[Array]:
    return [next(arrays) for _ in range(count)]
