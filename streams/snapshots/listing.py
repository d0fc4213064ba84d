"""What `kae snapshot` prints, as types.

The archive as `kae snapshot list` and `verify` show it; no broker is asked.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from kae.sinks.snapshots.archive import Archive
from kae.sinks.snapshots.fetch import broken_files
from kae.sinks.snapshots.manifest import Manifest, SnapshotBroken
from kae.sinks.store import keys
from kae.streams import clock
from kae.streams.control.client import RequestOutcome
from kae.streams.snapshots.archives import archive_of
from kae.streams.topology.types import Topology


class SnapshotAsked(msgspec.Struct, frozen=True):
    """What became of asking for one shard's snapshot; `request` is its offset on the control topic.

    `done` means that it is in the archive; `cause` says why it was refused or did not come about.
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


class SnapshotsAsked(msgspec.Struct, frozen=True):
    """What `create --json` prints."""

    snapshots: list[SnapshotAsked]


class SnapshotShown(msgspec.Struct, frozen=True):
    """One snapshot; what a manifest that cannot be read would say is null.

    `broken` names what is wrong with it; `list` looks at manifests alone, `verify` at all bytes.
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
    """What `list --json` and `verify --json` print; the newest of a shard come first."""

    generation: int
    url: str
    snapshots: list[SnapshotShown]


class PrunePlanned(msgspec.Struct, frozen=True):
    """What pruning does for one shard.

    `keep` are the newest whole snapshots. The log keeps `log_to` and what follows: the record of
    the second newest of them; null where it is not trimmed, and `log_kept` says why.
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


class Pruned(msgspec.Struct, frozen=True):
    """What `prune --json` prints."""

    dry_run: bool
    shards: list[PrunePlanned]


WhatIsBroken = Callable[[Archive, Manifest], list[str]]


def list_snapshots(
    topology: Topology, shards: Sequence[int], now_ms: int
) -> Iterator[SnapshotShown]:
    """Raises: SnapshotsOff, ArchiveUnreachable."""
    yield from _shown(topology, shards, now_ms, lambda _archive, _manifest: [])


def verify_snapshots(
    topology: Topology, shards: Sequence[int], now_ms: int
) -> Iterator[SnapshotShown]:
    """The same, with all bytes read, each blob once.

    Raises: SnapshotsOff, ArchiveUnreachable.
    """
    for shard in shards:
        whole: set[str] = set()

        def wrong(archive: Archive, manifest: Manifest, whole: set[str] = whole) -> list[str]:
            return list(broken_files(archive, manifest, whole).values())

        yield from _shown(topology, [shard], now_ms, wrong)


def _shown(
    topology: Topology, shards: Sequence[int], now_ms: int, wrong: WhatIsBroken
) -> Iterator[SnapshotShown]:
    for shard in shards:
        archive = archive_of(topology, shard)
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
                broken=wrong(archive, manifest),
                offset=manifest.offset,
                items=manifest.items,
                files=len(manifest.files),
                bytes=manifest.bytes,
                taken=clock.rfc3339(manifest.created_ms),
                age_seconds=max(0, now_ms - manifest.created_ms) / 1000,
                by=manifest.by,
            )
