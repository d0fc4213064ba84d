"""The archive as `kae snapshot list` and `verify` show it; no broker is asked."""

from collections.abc import Callable, Iterator, Sequence

from kae.sinks import keys
from kae.sinks.snapshots.archive import Archive
from kae.sinks.snapshots.fetch import broken_files
from kae.sinks.snapshots.manifest import Manifest, SnapshotBroken
from kae.streams import moments
from kae.streams.snapshots.answers import SnapshotShown
from kae.streams.snapshots.archives import archive_of
from kae.streams.topology import Topology

WhatIsBroken = Callable[[Archive, Manifest], list[str]]


def listed(topology: Topology, shards: Sequence[int], now_ms: int) -> Iterator[SnapshotShown]:
    """Raises: SnapshotsOff, ArchiveUnreachable."""
    yield from _shown(topology, shards, now_ms, lambda _archive, _manifest: [])


def verified(topology: Topology, shards: Sequence[int], now_ms: int) -> Iterator[SnapshotShown]:
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
                taken=moments.shown(manifest.created_ms),
                age_seconds=max(0, now_ms - manifest.created_ms) / 1000,
                by=manifest.by,
            )
