"""Take a snapshot: send the files that the archive lacks, then the manifest, then check again."""

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
    """A snapshot in the archive, and the files that were sent for it."""

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
    """Put a store's checkpoint into the archive; `state` is the checkpoint's.

    A kill at any step leaves files that no manifest names: the next snapshot uses those that are
    whole, and pruning removes them.
    Raises: ArchiveUnreachable.
    """
    files = [SnapshotFile.of(path) for path in sorted(checkpoint.iterdir())]
    manifest = describe_store(origin, state, files)
    sent = _send_missing(archive, checkpoint, files, on_sent)
    name, payload = encode_manifest(manifest)
    archive.put_manifest(name, payload)
    # Pruning may have removed a file before it could see this manifest. From now on it sees it, so
    # one check is enough (prune.py).
    sent |= _send_missing(archive, checkpoint, files, on_sent)
    return TakenSnapshot(name, manifest, frozenset(sent), sum(sent.values()))


def _send_missing(
    archive: Archive, checkpoint: Path, files: Iterable[SnapshotFile], on_sent: OnFileSent
) -> dict[str, int]:
    """Send files that are missing or incomplete; returns their sizes by digest."""
    stored = archive.blobs()
    sent = {}
    for file in files:
        if stored.get(file.blake2b) == file.bytes or file.blake2b in sent:
            continue
        archive.put(checkpoint / file.name, file.blake2b)
        sent[file.blake2b] = file.bytes
        on_sent(file)
    return sent
