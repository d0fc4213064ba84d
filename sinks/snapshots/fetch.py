"""Fetch snapshots: every byte is checked, and errors name the broken file."""

import errno
import shutil
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

from kae.sinks.snapshots.archive import Archive
from kae.sinks.snapshots.manifest import DIGEST_BYTES, Manifest, SnapshotBroken, SnapshotFile
from kae.sinks.store import keys
from kae.sinks.store.disk import DiskFull, remove_atomically

WhyNot = Callable[[Manifest], str]


def broken_files(archive: Archive, manifest: Manifest, trusted: set[str]) -> dict[str, str]:
    """What is wrong with a snapshot's files, by digest; empty if it is whole.

    `trusted` blobs are not read; blobs found whole are added to them.
    Raises: ArchiveUnreachable.
    """
    found = {}
    for file in manifest.files:
        if file.blake2b in trusted:
            continue
        try:
            for _ in read_checked(archive, file):
                pass
        except SnapshotBroken as error:
            found[file.blake2b] = str(error)
        else:
            trusted.add(file.blake2b)
    return found


def fetch_snapshot(archive: Archive, manifest: Manifest, folder: Path) -> None:
    """Write a snapshot's files as a store's folder, which appears once all files are whole.

    Raises: SnapshotBroken, which names the file; DiskFull; ArchiveUnreachable.
    """
    beside = folder.with_name(f"{folder.name}.fetching")
    shutil.rmtree(beside, ignore_errors=True)
    remove_atomically(folder)
    try:
        beside.mkdir(parents=True)
        for file in manifest.files:
            with (beside / file.name).open("wb") as written:
                for chunk in read_checked(archive, file):
                    written.write(chunk)
        beside.rename(folder)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(folder) from error
        raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def fetch_newest_first(
    archive: Archive, folder: Path, why_not: WhyNot, note: Callable[[str], None]
) -> Iterator[Manifest]:
    """Fetch snapshots into a folder, the newest first; each replaces the one before.

    `why_not` gives a reason against a snapshot before it is fetched, or ""; `note` is called with
    each reason that a snapshot was skipped for.
    Raises: DiskFull; ArchiveUnreachable.
    """
    for name in archive.manifests():
        try:
            manifest = archive.manifest(name)
            reason = why_not(manifest)
            if not reason:
                fetch_snapshot(archive, manifest, folder)
        except SnapshotBroken as error:
            reason = str(error)
        if reason:
            note(f"snapshot {name}: {reason}")
        else:
            yield manifest


def read_checked(archive: Archive, file: SnapshotFile, folder: str = keys.BLOBS) -> Iterator[bytes]:
    """The bytes of a file; do not use them before the iterator has ended without an error.

    Raises: SnapshotBroken.
    """
    found, size = blake2b(digest_size=DIGEST_BYTES), 0
    for chunk in archive.read(file, folder):
        found.update(chunk)
        size += len(chunk)
        yield chunk
    if (size, found.hexdigest()) != (file.bytes, file.blake2b):
        what = "was cut" if size < file.bytes else "was altered"
        raise SnapshotBroken(
            f"file {file.name} {what}: blob {file.blake2b} in {archive.folder} has {size:,} bytes "
            f"of {file.bytes:,} with the digest {found.hexdigest()}"
        )
