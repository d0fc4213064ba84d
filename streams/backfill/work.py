"""The work folder: what a backfill has finished, so that one that was killed goes on.

job.json                     the job (job.py)
topology.yaml                the topology, for the workers
runs/<split>-<part>.run      encoded items of a split, sorted in each shard (runs.py)
runs/<split>.rejected.jsonl  its rows that are not items, or cannot be indexed
runs/<split>.letters         the same as dead letters (refusals.py)
runs/<split>.json            written last: the split is finished
stores/shard-<n>/            a store and built.json; exists once the shard is built
stores/shard-<n>/sealed.json written when its snapshot is in the archive
"""

import errno
import uuid
from dataclasses import dataclass
from pathlib import Path

from kae.sinks.store.disk import DiskFull

# The remedy when a worker does not find what another has written.
SHARE_FOLDERS = (
    "every worker of the runner has to reach the --work folder, the catalog's files and the "
    "codebook under the same paths: put them on a disk that all of them share"
)


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """The folder of one backfill; all its workers need it at the same path."""

    folder: Path

    @property
    def job(self) -> Path:
        return self.folder / "job.json"

    @property
    def topology(self) -> Path:
        return self.folder / "topology.yaml"

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def stores(self) -> Path:
        return self.folder / "stores"

    def run(self, split: int, part: int) -> Path:
        return self.runs / f"{split:06d}-{part:04d}.run"

    def rejected(self, split: int) -> Path:
        return self.runs / f"{split:06d}.rejected.jsonl"

    def dead_letters(self, split: int) -> Path:
        return self.runs / f"{split:06d}.letters"

    def finished(self, split: int) -> Path:
        return self.runs / f"{split:06d}.json"

    def shard(self, shard: int) -> Path:
        return self.stores / f"shard-{shard:04d}"

    def built(self, shard: int) -> Path:
        return self.shard(shard) / "built.json"

    def published(self, shard: int) -> Path:
        return self.shard(shard) / "sealed.json"


def temporary_name(path: Path) -> Path:
    """A unique name beside a path, to be written and then renamed.

    Two workers may do the same work when one was taken for dead, and two processes on two machines,
    or two threads, may have the same process id.
    """
    return path.with_name(f"{path.name}.{uuid.uuid4().hex}")


def write_atomically(path: Path, payload: bytes) -> None:
    """Write a file that exists as a whole or not at all.

    Raises: DiskFull.
    """
    beside = temporary_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(payload)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise disk_full_or(error, path) from error


def disk_full_or(error: OSError, path: Path) -> Exception:
    """DiskFull if that is why a write failed, else the error itself."""
    return DiskFull(path) if error.errno in (errno.ENOSPC, errno.EDQUOT) else error
