"""Where the snapshots of a topology's shards are."""

from kae.sinks.snapshots.archive import Archive
from kae.streams.errors import SnapshotsOff
from kae.streams.topology import Topology


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
