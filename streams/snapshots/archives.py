"""Where the snapshots of a topology's shards are.

The snapshots that a reader of a log may begin with: those whose record the log holds.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from kafka import TopicPartition

from kae.sinks.log.ownership import check_base
from kae.sinks.snapshots.archive import Archive, ArchiveUnreachable
from kae.sinks.snapshots.fetch import WhyNot, fetched
from kae.sinks.snapshots.manifest import Manifest
from kae.sinks.store.beginnings import UNFIT, SnapshotSource, no_snapshots
from kae.streams.errors import SnapshotsOff
from kae.streams.kafka.log import KafkaClients
from kae.streams.topology.types import Topology


def log_of(topology: Topology, shard: int) -> str:
    """How a shard's log is called, in errors and in the archive."""
    return f"{topology.deltas_topic}/{shard}"


def url_of(topology: Topology) -> str:
    """Raises: SnapshotsOff."""
    url = topology.snapshots.url
    if url is None:
        raise SnapshotsOff(
            f"snapshots.url is null in {topology.path}: there are no snapshots; name a folder, "
            "s3://BUCKET/PATH or gs://BUCKET/PATH there, and start the workers again"
        )
    return url


def archive_of(topology: Topology, shard: int) -> Archive:
    """Raises: SnapshotsOff, ArchiveUnreachable."""
    return Archive.open(url_of(topology), log_of(topology, shard))


def snapshots_of(
    topology: Topology,
    shard: int,
    fingerprint: str,
    why_beside: WhyNot = lambda _manifest: "",
) -> SnapshotSource:
    """Those of a shard that may be begun with, the newest first; none where none are kept.

    `why_beside` says what else speaks against one. An archive that cannot be reached is told as a
    reason, for the log may be whole.
    """
    if topology.snapshots.url is None:
        return no_snapshots

    def why_not(manifest: Manifest) -> str:
        if manifest.log != log_of(topology, shard):
            return f"it is of the log {manifest.log}"
        if manifest.fingerprint != fingerprint:
            return f"it was made with codebook {manifest.fingerprint}, here is {fingerprint}"
        return why_beside(manifest)

    def lay(folder: Path, note: Callable[[str], None]) -> Iterator[str]:
        try:
            for manifest in fetched(archive_of(topology, shard), folder, why_not, note):
                yield f"version {manifest.version} of {manifest.log}, taken by {manifest.by}"
        except ArchiveUnreachable as error:
            note(str(error))

    return lay


def snapshots_in_log(
    topology: Topology,
    clients: KafkaClients,
    shard: int,
    fingerprint: str,
    newest: int | None = None,
) -> SnapshotSource:
    """The newest first, if need be none that is newer than a version.

    An end that a broker tells too low costs a snapshot, and never lets a wrong one pass.
    """
    place = TopicPartition(topology.deltas_topic, shard)
    log = clients.log(topology.deltas_topic, shard)

    def why_beside(manifest: Manifest) -> str:
        if newest is not None and manifest.version > newest:
            return f"it is of version {manifest.version}, {newest} is wanted"
        with clients.borrowed_consumer() as consumer:
            end = consumer.end_offsets([place])[place]
        try:
            check_base(log, manifest.offset, bytes.fromhex(manifest.tail), end)
        except UNFIT as error:
            return str(error)
        return ""

    return snapshots_of(topology, shard, fingerprint, why_beside)
