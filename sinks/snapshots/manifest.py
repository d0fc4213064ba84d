"""The manifest of a snapshot: its log and version, and its files.

It is written last: files without a manifest are no snapshot. Its name has the digest of its bytes,
and it has the digests of all files, so a reader can tell whether a snapshot is whole.
"""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from kae.sinks.log.edits import SourceRange
from kae.sinks.store import keys
from kae.sinks.store.state import StoreState

FORMAT = 1
DIGEST_BYTES = 16
CHUNK_BYTES = 1 << 20


class SnapshotBroken(Exception):
    """A snapshot's file is missing, cut or altered."""


class SnapshotFile(msgspec.Struct, frozen=True):
    """One file of a store; the archive keeps it under its digest."""

    name: str
    bytes: int
    blake2b: str

    @classmethod
    def of(cls, path: Path) -> "SnapshotFile":
        found, size = blake2b(digest_size=DIGEST_BYTES), 0
        with path.open("rb") as opened:
            while chunk := opened.read(CHUNK_BYTES):
                found.update(chunk)
                size += len(chunk)
        return cls(path.name, size, found.hexdigest())


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`offset` and `tail` belong to the log record that made the version, `hash` to the chain."""

    format: int = FORMAT
    log: str
    generation: int
    shard: int
    fingerprint: str
    version: int
    offset: int
    tail: str
    hash: str
    next_offset: int
    bindings_version: int
    items: int
    created_ms: int
    by: str
    files: tuple[SnapshotFile, ...]

    @property
    def bytes(self) -> int:
        """The size of all its files."""
        return sum(file.bytes for file in self.files)


class SnapshotOrigin(msgspec.Struct, frozen=True):
    """The shard that a snapshot is taken of, by whom and when."""

    log: str
    generation: int
    shard: int
    by: str
    created_ms: int


def describe_store(
    origin: SnapshotOrigin, state: StoreState, files: Sequence[SnapshotFile]
) -> Manifest:
    """The manifest of a store in that state."""
    source: SourceRange = state.source
    return Manifest(
        log=origin.log,
        generation=origin.generation,
        shard=origin.shard,
        fingerprint=state.fingerprint,
        version=state.version,
        offset=state.offset,
        tail=state.tail.hex(),
        hash=state.hash.hex(),
        next_offset=source.next_offset,
        bindings_version=source.bindings_version,
        items=state.live,
        created_ms=origin.created_ms,
        by=origin.by,
        files=tuple(files),
    )


def encode_manifest(manifest: Manifest) -> tuple[str, bytes]:
    """The name and the bytes of a manifest."""
    payload = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    return keys.manifest_file(manifest.version, _digest(payload)), payload


def decode_manifest(name: str, payload: bytes) -> Manifest:
    """Raises: SnapshotBroken when the bytes do not match the digest in the name."""
    parsed = keys.parse_manifest_file(name)
    if parsed is None or parsed[1] != _digest(payload):
        raise SnapshotBroken(
            f"manifest {name}: its {len(payload):,} bytes have the digest {_digest(payload)}, so "
            "it was cut or altered"
        )
    try:
        manifest = msgspec.json.decode(payload, type=Manifest)
    except msgspec.DecodeError as error:
        raise SnapshotBroken(f"manifest {name}: {error}; another release wrote it") from error
    if manifest.format != FORMAT or not all(_is_plain(file) for file in manifest.files):
        raise SnapshotBroken(f"manifest {name}: format {manifest.format}, this kae reads {FORMAT}")
    return manifest


def _digest(payload: bytes) -> str:
    return blake2b(payload, digest_size=DIGEST_BYTES).hexdigest()


def _is_plain(file: SnapshotFile) -> bool:
    """Whether neither its name nor its digest leads out of their folders."""
    return Path(file.name).name == file.name and keys.is_blob(file.blake2b)
