"""The archives of a topology's shards, and the snapshots in them that a reader can start from."""

from collections.abc import Callable, Iterator
from pathlib import Path

from kafka import TopicPartition

from kae.sinks.log.ownership import check_prefix
from kae.sinks.log.protocol import LogTruncated
from kae.sinks.snapshots.archive import Archive, ArchiveUnreachable
from kae.sinks.snapshots.fetch import WhyNot, fetch_newest_first
from kae.sinks.snapshots.manifest import Manifest
from kae.sinks.store.recovery import UNFIT_FOR_LOG, SnapshotSource, no_snapshots
from kae.streams.errors import SnapshotsOff
from kae.streams.kafka.log import KafkaClients
from kae.streams.topology.types import Topology


def log_name(topology: Topology, shard: int) -> str:
    """The name of a shard's log, in errors and in the archive."""
    return f"{topology.deltas_topic}/{shard}"


def snapshots_url(topology: Topology) -> str:
    """Raises: SnapshotsOff."""
    url = topology.snapshots.url
    if url is None:
        raise SnapshotsOff(
            f"snapshots.url is null in {topology.path}, so there are no snapshots; set it to a "
            "folder, s3://BUCKET/PATH or gs://BUCKET/PATH, and restart the workers"
        )
    return url


def open_archive(topology: Topology, shard: int) -> Archive:
    """Raises: SnapshotsOff, ArchiveUnreachable."""
    return Archive.open(snapshots_url(topology), log_name(topology, shard))


def shard_snapshots(
    topology: Topology,
    shard: int,
    fingerprint: str,
    why_not_also: WhyNot = lambda _manifest: "",
) -> SnapshotSource:
    """The snapshots of a shard that a store can start from, the newest first.

    `why_not_also` gives further reasons against one. An archive that cannot be reached is noted and
    no error: the log may be complete.
    """
    if topology.snapshots.url is None:
        return no_snapshots

    def why_not(manifest: Manifest) -> str:
        if manifest.log != log_name(topology, shard):
            return f"it belongs to the log {manifest.log}"
        if manifest.fingerprint != fingerprint:
            return f"it was made with codebook {manifest.fingerprint}, not {fingerprint}"
        return why_not_also(manifest)

    def fetch(folder: Path, note: Callable[[str], None]) -> Iterator[str]:
        try:
            for manifest in fetch_newest_first(
                open_archive(topology, shard), folder, why_not, note
            ):
                yield f"version {manifest.version} of {manifest.log}, taken by {manifest.by}"
        except ArchiveUnreachable as error:
            note(str(error))

    return fetch


def snapshots_in_log(
    topology: Topology,
    clients: KafkaClients,
    shard: int,
    fingerprint: str,
    newest: int | None = None,
) -> SnapshotSource:
    """The snapshots of a shard whose record its log holds, the newest first.

    `newest` is the highest version that may be used. A broker may report an end that is too low:
    a good snapshot is then skipped, and a wrong one never used.
    """
    place = TopicPartition(topology.deltas_topic, shard)
    log = clients.log(topology.deltas_topic, shard)

    def why_not_also(manifest: Manifest) -> str:
        if newest is not None and manifest.version > newest:
            return f"its version is {manifest.version}, above {newest}"
        with clients.borrowed_consumer() as consumer:
            end = consumer.end_offsets([place])[place]
        try:
            check_prefix(log, manifest.offset, bytes.fromhex(manifest.tail), end)
        except UNFIT_FOR_LOG as error:
            return str(error)
        return ""

    return shard_snapshots(topology, shard, fingerprint, why_not_also)


def restore_if_trimmed(
    topology: Topology,
    clients: KafkaClients,
    shard: int,
    fingerprint: str,
    folder: Path,
    *,
    newest: int | None = None,
    remedy: str,
) -> bool:
    """Put a snapshot at `folder` if the shard's log was trimmed; returns whether it was.

    Raises: LogTruncated, with the remedy, when no snapshot fits.
    """
    place = TopicPartition(topology.deltas_topic, shard)
    with clients.borrowed_consumer() as consumer:
        if consumer.beginning_offsets([place])[place] == 0:
            return False
    reasons: list[str] = []
    fitting = snapshots_in_log(topology, clients, shard, fingerprint, newest)
    if next(fitting(folder, reasons.append), None) is None:
        limit = "" if newest is None else f" up to version {newest}"
        raise LogTruncated(
            f"{log_name(topology, shard)}: the log was trimmed, and no snapshot{limit} can be "
            f"used: {'; '.join(reasons) or 'there is none'}. {remedy}"
        )
    return True
