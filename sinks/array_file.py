"""Arrays in a file that other processes map: written once, and whole before anybody opens it.

8 bytes    the length of the header
header     msgpack: a note of the writer's, then type, shape and place of each array
arrays     each begins at a multiple of 64 bytes
"""

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

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
