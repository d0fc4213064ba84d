"""The folder of a tagger.

    tagger.json           format, kinds with their categories, hashes of the other two, fingerprint
    pieces.txt            the vocabulary, one piece a line
    weights.safetensors   the network in 8 bits

docs/formats.md specifies the files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from kae.encoders.categories import CATEGORY_INDEX

# Raise it when the same weights give other values.
FORMAT = 1
PACKAGED = Path(__file__).parent / "weights"
_MANIFEST = "tagger.json"
_PIECES = "pieces.txt"
_WEIGHTS = "weights.safetensors"
_REMEDY = "copy the folder again, or make it with `kae tagger train`"


class TaggerInvalid(ValueError):
    """A folder that is not a tagger of this version."""


class ValueKind(msgspec.Struct, frozen=True):
    """A kind of value in the training data, and its category."""

    name: str
    category: str


@dataclass(frozen=True, slots=True)
class TaggerSource:
    """The folder of a tagger, verified to have this fingerprint."""

    folder: Path
    fingerprint: str

    @staticmethod
    def of(folder: Path) -> "TaggerSource":
        """Verify every byte of a folder.

        Raises: TaggerInvalid.
        """
        return TaggerSource(folder, load_weights(folder).fingerprint)

    def copy_to(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (_MANIFEST, _PIECES, _WEIGHTS):
            (folder / name).write_bytes((self.folder / name).read_bytes())


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    fingerprint: str
    kinds: tuple[ValueKind, ...]
    pieces_blake2b: str
    weights_blake2b: str
    # How it was trained; informational.
    training: dict[str, str]


@dataclass(frozen=True, slots=True)
class TaggerWeights:
    """The parts of a tagger; the fingerprint covers all of them."""

    kinds: tuple[ValueKind, ...]
    pieces: tuple[str, ...]
    tensors: Mapping[str, NDArray[np.generic]]
    fingerprint: str


def save_weights(
    folder: Path,
    kinds: Sequence[ValueKind],
    pieces: Sequence[str],
    tensors: Mapping[str, NDArray[np.generic]],
    training: Mapping[str, str],
) -> str:
    """Write the folder and return its fingerprint; equal parts give equal bytes."""
    vocabulary = ("\n".join(pieces) + "\n").encode()
    content = save(dict(sorted(tensors.items())))
    blank = _Manifest(
        FORMAT, "", tuple(kinds), _hash(vocabulary), _hash(content), dict(sorted(training.items()))
    )
    manifest = msgspec.structs.replace(blank, fingerprint=_hash(_encode(blank)))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _PIECES).write_bytes(vocabulary)
    (folder / _WEIGHTS).write_bytes(content)
    (folder / _MANIFEST).write_bytes(_encode(manifest))
    return manifest.fingerprint


def load_weights(folder: Path) -> TaggerWeights:
    """Read a folder and verify every byte of it.

    Raises: TaggerInvalid.
    """
    try:
        read = {name: (folder / name).read_bytes() for name in (_MANIFEST, _PIECES, _WEIGHTS)}
    except OSError as error:
        raise TaggerInvalid(f"{folder}: no tagger ({error}); {_REMEDY}") from None
    manifest = _checked(folder / _MANIFEST, read[_MANIFEST])
    for name, expected in (
        (_PIECES, manifest.pieces_blake2b),
        (_WEIGHTS, manifest.weights_blake2b),
    ):
        if _hash(read[name]) != expected:
            raise TaggerInvalid(
                f"{folder / name}: its hash is {_hash(read[name])}, {_MANIFEST} says {expected}; "
                f"{_REMEDY}"
            )
    try:
        tensors = load(read[_WEIGHTS])
    except SafetensorError as error:
        raise TaggerInvalid(f"{folder / _WEIGHTS}: {error}; {_REMEDY}") from None
    pieces = tuple(read[_PIECES].decode().rstrip("\n").split("\n"))
    return TaggerWeights(manifest.kinds, pieces, tensors, manifest.fingerprint)


def _checked(path: Path, content: bytes) -> _Manifest:
    try:
        manifest = msgspec.json.decode(content, type=_Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TaggerInvalid(f"{path}: {error}; {_REMEDY}") from None
    if manifest.format != FORMAT:
        raise TaggerInvalid(
            f"{path}: format {manifest.format}, this version of kae reads {FORMAT}; {_REMEDY}"
        )
    unknown = sorted({kind.category for kind in manifest.kinds} - CATEGORY_INDEX.keys())
    if unknown:
        raise TaggerInvalid(f"{path}: {', '.join(unknown)}: no category of kae; {_REMEDY}")
    expected = _hash(_encode(msgspec.structs.replace(manifest, fingerprint="")))
    if manifest.fingerprint != expected:
        raise TaggerInvalid(
            f"{path}: its content gives fingerprint {expected}, it says {manifest.fingerprint}; "
            f"{_REMEDY}"
        )
    return manifest


def _encode(manifest: _Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def _hash(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()
