"""Pruning: the newest whole snapshots stay, and what none of them needs goes.

It may run beside uploads and beside itself. An upload writes its manifest and then looks whether
all files are there; pruning moves a file out of the blobs and then looks whether a manifest names
it. Whichever looks last sees what the other did: the upload sends the file again, or pruning moves
it back. Nothing rests on how long either takes; the grace period spares those who are reading an
old snapshot, and uploads that have no manifest yet.
"""

from dataclasses import dataclass, field

from kae.sinks.snapshots.archive import Archive
from kae.sinks.snapshots.fetch import broken_files, read_checked
from kae.sinks.snapshots.manifest import Manifest, SnapshotBroken, SnapshotFile
from kae.sinks.store import keys


@dataclass(slots=True)
class Survey:
    """The manifests of an archive, the newest first, and what is wrong with them."""

    names: list[str]
    whole: dict[str, Manifest] = field(default_factory=dict)
    broken: dict[str, list[str]] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)  # blobs of broken snapshots


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What pruning would do: the manifests that stay and go, and the blobs that go."""

    keep: dict[str, Manifest]
    drop: tuple[str, ...]
    blobs: dict[str, int]  # digest -> bytes
    damaged: frozenset[str]
    broken: dict[str, list[str]]


def survey(archive: Archive, trusted: set[str], enough: int | None = None) -> Survey:
    """Read and check snapshots, until `enough` are found whole; blobs not `trusted` are read.

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
    """What is to go: all but the `keep` newest whole snapshots, if it is older than the grace.

    Raises: ArchiveUnreachable.
    """
    found = survey(archive, trusted, enough=keep)
    # Where nothing is whole, nothing is superseded; nor by what came after the survey.
    superseded = found.names if found.whole else []
    drop = tuple(
        name
        for name in superseded
        if name not in found.whole and _is_old(archive.manifest_modified_ms(name), grace_ms, now_ms)
    )
    # Blobs before manifests: a manifest that was there by then is seen.
    blobs = archive.blobs()
    named = _named(archive, set(drop))
    unnamed = {
        digest: size
        for digest, size in blobs.items()
        if digest not in named and _is_old(archive.blob_modified_ms(digest), grace_ms, now_ms)
    }
    return PrunePlan(found.whole, drop, unnamed, frozenset(found.damaged), found.broken)


def prune(archive: Archive, planned: PrunePlan) -> None:
    """Carry a plan out; killed at any step, the next pruning goes on from there.

    Raises: ArchiveUnreachable.
    """
    for name in planned.drop:
        archive.remove_manifest(name)
    # Who takes the next snapshot finds the damaged ones missing, and sends them again.
    for digest in (*planned.damaged, *planned.blobs):
        archive.throw_away(digest)
    thrown = archive.trash()
    named = _named(archive, set())
    for digest in thrown:
        if digest in named and _is_whole(archive, named[digest]):
            archive.take_back(digest)
        else:
            archive.remove_trash(digest)


def _is_whole(archive: Archive, file: SnapshotFile) -> bool:
    """Whether a file in the trash is what it should be."""
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
            continue  # what it names cannot be known; `survey` tells of it
        named.update({file.blake2b: file for file in files})
    return named


def _is_old(modified_ms: int | None, grace_ms: int, now_ms: int) -> bool:
    return modified_ms is not None and now_ms - modified_ms > grace_ms
