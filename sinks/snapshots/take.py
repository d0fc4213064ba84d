"""Taking a snapshot: the files that the archive lacks, then the manifest, then a second look."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from kae.sinks.snapshots.archive import Archive
from kae.sinks.snapshots.manifest import (
    Manifest,
    SnapshotFile,
    SnapshotOrigin,
    describe_store,
    encode_manifest,
)
from kae.sinks.store.state import StoreState

OnFileSent = Callable[[SnapshotFile], None]


@dataclass(frozen=True, slots=True)
class TakenSnapshot:
    """A snapshot that is in the archive, and what had to travel for it."""

    name: str
    manifest: Manifest
    sent: frozenset[str]  # digests
    sent_bytes: int


def take_snapshot(
    archive: Archive,
    checkpoint: Path,
    state: StoreState,
    origin: SnapshotOrigin,
    on_sent: OnFileSent = lambda _file: None,
) -> TakenSnapshot:
    """Put a store's checkpoint into the archive; `state` is what the store was at.

    Killed at any step, it leaves files that no manifest names: those that are whole are used by
    the next, and all are pruned in the end.
    Raises: ArchiveUnreachable.
    """
    files = [SnapshotFile.of(path) for path in sorted(checkpoint.iterdir())]
    manifest = describe_store(origin, state, files)
    sent = _send_missing(archive, checkpoint, files, on_sent)
    name, payload = encode_manifest(manifest)
    archive.put_manifest(name, payload)
    # Whoever prunes may have taken a file away before it could know of this manifest. From now on
    # it knows, so this look is the last one needed (prune.py).
    sent |= _send_missing(archive, checkpoint, files, on_sent)
    return TakenSnapshot(name, manifest, frozenset(sent), sum(sent.values()))


def _send_missing(
    archive: Archive, checkpoint: Path, files: Iterable[SnapshotFile], on_sent: OnFileSent
) -> dict[str, int]:
    """Send what is not there, or is there in part; the sizes of what was sent, by digest."""
    there = archive.blobs()
    sent = {}
    for file in files:
        if there.get(file.blake2b) == file.bytes or file.blake2b in sent:
            continue
        archive.put(checkpoint / file.name, file.blake2b)
        sent[file.blake2b] = file.bytes
        on_sent(file)
    return sent
