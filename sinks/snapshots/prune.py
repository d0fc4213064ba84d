"""Prune an archive: keep the newest whole snapshots, and remove what none of them needs.

Pruning may run concurrently with uploads and with itself. An upload writes its manifest and then
checks that all files are there; pruning moves a file to the trash and then checks whether a
manifest names it. Whichever checks last sees what the other did: the upload sends the file again,
or pruning restores it. No timing matters for this; the grace period protects readers of an old
snapshot, and uploads that have no manifest yet.
"""

from dataclasses import dataclass, field

from kae.sinks.snapshots.archive import Archive
from kae.sinks.snapshots.fetch import broken_files, read_checked
from kae.sinks.snapshots.manifest import Manifest, SnapshotBroken, SnapshotFile
from kae.sinks.store import keys


@dataclass(slots=True)
class Survey:
    """The manifests of an archive, the newest first, and which snapshots are whole or broken."""

    names: list[str]
    whole: dict[str, Manifest] = field(default_factory=dict)
    broken: dict[str, list[str]] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)  # blobs of broken snapshots


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """The manifests to keep and to remove, and the blobs to remove."""

    keep: dict[str, Manifest]
    drop: tuple[str, ...]
    blobs: dict[str, int]  # digest -> bytes
    damaged: frozenset[str]
    broken: dict[str, list[str]]


def survey(archive: Archive, trusted: set[str], enough: int | None = None) -> Survey:
    """Check snapshots until `enough` are whole; blobs that are not `trusted` are read.

    Raises: ArchiveUnreachable.
    """
    found = Survey(archive.manifests())
    for name in found.names:
        if enough is not None and len(found.whole) == enough:
            break
        try:
            manifest = archive.manifest(name)
        except SnapshotBroken as error:
            found.broken[name] = [str(error)]
            continue
        wrong = broken_files(archive, manifest, trusted)
        if wrong:
            found.broken[name] = list(wrong.values())
            found.damaged |= wrong.keys()
        else:
            found.whole[name] = manifest
    return found


def plan_prune(
    archive: Archive, keep: int, grace_ms: int, now_ms: int, trusted: set[str]
) -> PrunePlan:
    """What to remove: all but the `keep` newest whole snapshots, if older than the grace period.

    Raises: ArchiveUnreachable.
    """
    found = survey(archive, trusted, enough=keep)
    # Only a whole snapshot supersedes others; those written after the survey are not considered.
    superseded = found.names if found.whole else []
    drop = tuple(
        name
        for name in superseded
        if name not in found.whole and _is_old(archive.manifest_modified_ms(name), grace_ms, now_ms)
    )
    # List blobs before manifests: then the manifest of every listed blob is seen.
    blobs = archive.blobs()
    named = _named(archive, set(drop))
    unnamed = {
        digest: size
        for digest, size in blobs.items()
        if digest not in named and _is_old(archive.blob_modified_ms(digest), grace_ms, now_ms)
    }
    return PrunePlan(found.whole, drop, unnamed, frozenset(found.damaged), found.broken)


def prune(archive: Archive, plan: PrunePlan) -> None:
    """Carry out a plan; after a kill at any step, the next pruning finishes it.

    Raises: ArchiveUnreachable.
    """
    for name in plan.drop:
        archive.remove_manifest(name)
    # The next snapshot finds damaged blobs missing, and sends them again.
    for digest in (*plan.damaged, *plan.blobs):
        archive.move_to_trash(digest)
    trashed = archive.trash()
    named = _named(archive, set())
    for digest in trashed:
        if digest in named and _is_whole(archive, named[digest]):
            archive.restore(digest)
        else:
            archive.remove_trash(digest)


def _is_whole(archive: Archive, file: SnapshotFile) -> bool:
    """Whether a file in the trash matches its digest."""
    try:
        for _ in read_checked(archive, file, keys.TRASH):
            pass
    except SnapshotBroken:
        return False
    return True


def _named(archive: Archive, without: set[str]) -> dict[str, SnapshotFile]:
    """The files that manifests name, by digest."""
    named = {}
    for name in archive.manifests():
        if name in without:
            continue
        try:
            files = archive.manifest(name).files
        except SnapshotBroken:
            continue  # `survey` reports it
        named.update({file.blake2b: file for file in files})
    return named


def _is_old(modified_ms: int | None, grace_ms: int, now_ms: int) -> bool:
    return modified_ms is not None and now_ms - modified_ms > grace_ms
