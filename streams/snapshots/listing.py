"""What `kae snapshot` prints; `list` and `verify` read the archive, and ask no broker."""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from kae.sinks.snapshots.archive import Archive
from kae.sinks.snapshots.fetch import broken_files
from kae.sinks.snapshots.manifest import Manifest, SnapshotBroken
from kae.sinks.store import keys
from kae.streams import clock
from kae.streams.control.client import RequestOutcome
from kae.streams.snapshots.archives import open_archive
from kae.streams.topology.types import Topology


class SnapshotOutcome(msgspec.Struct, frozen=True):
    """What became of the request for one shard's snapshot; `request` is its control topic offset.

    `done` means that the snapshot is in the archive; `cause` says why it was refused or failed.
    """

    shard: int
    request: int
    outcome: RequestOutcome
    cause: str = ""
    worker: str | None = None
    version: int | None = None
    manifest: str | None = None
    bytes: int | None = None
    sent_bytes: int | None = None


class SnapshotOutcomes(msgspec.Struct, frozen=True):
    """What `create --json` prints."""

    snapshots: list[SnapshotOutcome]


class SnapshotShown(msgspec.Struct, frozen=True):
    """One snapshot; the fields of a manifest that cannot be read are null.

    `broken` says what is wrong with it; `list` reads only manifests, `verify` all bytes.
    """

    shard: int
    version: int
    manifest: str
    broken: list[str]
    offset: int | None = None
    items: int | None = None
    files: int | None = None
    bytes: int | None = None
    taken: str | None = None
    age_seconds: float | None = None
    by: str | None = None


class SnapshotsListed(msgspec.Struct, frozen=True):
    """What `list --json` and `verify --json` print; a shard's newest snapshot comes first."""

    generation: int
    url: str
    snapshots: list[SnapshotShown]


class ShardPruneReport(msgspec.Struct, frozen=True):
    """What pruning does to one shard.

    `keep` are the newest whole snapshots. The log is trimmed before `log_to`, the record of the
    second newest of them; if it is null the log is not trimmed, and `log_kept` says why.
    """

    shard: int
    keep: list[str]
    drop: list[str]
    broken: dict[str, list[str]]
    blobs: int
    bytes: int
    log_from: int
    log_to: int | None
    log_kept: str


class PruneReport(msgspec.Struct, frozen=True):
    """What `prune --json` prints."""

    dry_run: bool
    shards: list[ShardPruneReport]


FindBroken = Callable[[Archive, Manifest], list[str]]


def list_snapshots(
    topology: Topology, shards: Sequence[int], now_ms: int
) -> Iterator[SnapshotShown]:
    """Raises: SnapshotsOff, ArchiveUnreachable."""
    yield from _shown(topology, shards, now_ms, lambda _archive, _manifest: [])


def verify_snapshots(
    topology: Topology, shards: Sequence[int], now_ms: int
) -> Iterator[SnapshotShown]:
    """The same, after reading all bytes, each blob once.

    Raises: SnapshotsOff, ArchiveUnreachable.
    """
    for shard in shards:
        whole: set[str] = set()

        def find_broken(archive: Archive, manifest: Manifest, whole: set[str] = whole) -> list[str]:
            return list(broken_files(archive, manifest, whole).values())

        yield from _shown(topology, [shard], now_ms, find_broken)


def _shown(
    topology: Topology, shards: Sequence[int], now_ms: int, find_broken: FindBroken
) -> Iterator[SnapshotShown]:
    for shard in shards:
        archive = open_archive(topology, shard)
        for name in archive.manifests():
            try:
                manifest = archive.manifest(name)
            except SnapshotBroken as error:
                version, _ = keys.parse_manifest_file(name) or (0, "")
                yield SnapshotShown(shard, version, name, [str(error)])
                continue
            yield SnapshotShown(
                shard=shard,
                version=manifest.version,
                manifest=name,
                broken=find_broken(archive, manifest),
                offset=manifest.offset,
                items=manifest.items,
                files=len(manifest.files),
                bytes=manifest.bytes,
                taken=clock.rfc3339(manifest.created_ms),
                age_seconds=max(0, now_ms - manifest.created_ms) / 1000,
                by=manifest.by,
            )
