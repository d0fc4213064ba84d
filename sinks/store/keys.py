"""Every key and file name of a store; no other module spells one (docs/formats.md)."""

import re
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kae.encoders.categories import Identifier

FORMAT = 1
META, ITEMS, ORDINALS, TRIE, BINDINGS, ATTACHED = (
    "meta",
    "items",
    "ordinals",
    "trie",
    "bindings",
    "attached",
)
COLUMN_FAMILIES = (META, ITEMS, ORDINALS, TRIE, BINDINGS, ATTACHED)
STATE = b"state"
CHUNK_BITS = 16
# Big-endian, so that byte order is slot order, then ordinal order, in a prefix scan.
_TRIE = struct.Struct(">6HI")
_TRIE_ROWS = np.dtype([("slots", ">u2", 6), ("ordinal", ">u4"), ("popularity", ">f4")])
TRIE_ROW_BYTES = _TRIE_ROWS.itemsize
_POPULARITY = struct.Struct(">f")
_ORDINAL = struct.Struct(">I")
_BINDING = struct.Struct(">Q")
_ATTACHED = struct.Struct(">QI")
_BLOB = re.compile(r"[0-9a-f]{32}")
_MANIFEST_FILE = re.compile(r"([0-9]{20})\.([0-9a-f]{32})\.json")


def item_key(item_id: str) -> bytes:
    return item_id.encode()


def ordinal_key(ordinal: int) -> bytes:
    return _ORDINAL.pack(ordinal)


def trie_key(identifier: Identifier, ordinal: int) -> bytes:
    return _TRIE.pack(*identifier, ordinal)


def trie_value(popularity: float) -> bytes:
    return _POPULARITY.pack(popularity)


def binding_key(binding: int) -> bytes:
    return _BINDING.pack(binding)


def attached_key(binding: int, chunk: int) -> bytes:
    """The key of one binding's items in a chunk of 65,536 ordinals."""
    return _ATTACHED.pack(binding, chunk)


def parse_ordinal(key: bytes) -> int:
    ordinal: int = _ORDINAL.unpack(key)[0]
    return ordinal


def parse_binding(key: bytes) -> int:
    binding: int = _BINDING.unpack(key)[0]
    return binding


def parse_attached(key: bytes) -> tuple[int, int]:
    binding, chunk = _ATTACHED.unpack(key)
    return binding, chunk


def parse_trie(key: bytes) -> tuple[Identifier, int]:
    a, b, c, d, e, f, ordinal = _TRIE.unpack(key)
    return (a, b, c, d, e, f), ordinal


def parse_trie_rows(
    joined: bytes,
) -> tuple[NDArray[np.uint16], NDArray[np.uint32], NDArray[np.float32]]:
    """Slots (6, n), ordinals (n,) and popularity (n,) of joined rows, each a key and its value."""
    rows = np.frombuffer(joined, _TRIE_ROWS)
    slots, ordinals = rows["slots"].T.astype(np.uint16), rows["ordinal"].astype(np.uint32)
    return slots, ordinals, rows["popularity"].astype(np.float32)


def generation_folder(root: Path, generation: int) -> Path:
    return root / f"g{generation}"


def shard_folder(root: Path, generation: int, shard: int) -> Path:
    return generation_folder(root, generation) / f"shard-{shard:04d}"


# The folders of snapshots below that of their log (sinks/snapshots).
MANIFESTS, BLOBS, TRASH = "manifests", "blobs", "trash"


def manifest_file(version: int, digest: str) -> str:
    """The name of a manifest, padded so that names sort by version."""
    return f"{version:020d}.{digest}.json"


def parse_manifest_file(name: str) -> tuple[int, str] | None:
    """The version and digest in a manifest's name; None for any other file."""
    found = _MANIFEST_FILE.fullmatch(name)
    return (int(found[1]), found[2]) if found else None


def is_blob(name: str) -> bool:
    return _BLOB.fullmatch(name) is not None
