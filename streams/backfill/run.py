"""Run a backfill that was started, up to the snapshots of a whole generation."""

import re
import time
from typing import NamedTuple

import msgspec

from kae.sinks.store.disk import DiskFull
from kae.streams.backfill.build import read_built
from kae.streams.backfill.encode import read_finished
from kae.streams.backfill.job import Job
from kae.streams.backfill.pipeline import run_pipeline
from kae.streams.backfill.publish import ShardBackfilled, publish_shards
from kae.streams.backfill.start import BackfillOptions
from kae.streams.backfill.work import WorkFolder
from kae.streams.errors import BackfillFailed
from kae.streams.topology.types import Topology

# The line of a runner's error that names an error of kae.
_KAE_ERROR = re.compile(
    r"^(?:\w+: )?kae\.[\w.]+: (?P<message>.+?)(?: \[while running .*)?$", re.MULTILINE
)
_FULL = re.compile(r"No space left on device|Disk quota exceeded|kae\.sinks\.store\.disk\.DiskFull")


class BackfillReport(msgspec.Struct, frozen=True):
    """What `kae backfill run --json` prints; rows = items + dropped + stale + refused."""

    generation: int
    fingerprint: str
    rows: int
    items: int
    dropped: int
    stale: int
    refused: int
    resumed_rows: int  # of splits that an earlier run had finished
    resumed_shards: int
    seconds: float
    rows_per_second: float
    refused_file: str | None
    first_refused: str | None
    shards: list[ShardBackfilled]


class BackfillProgress(NamedTuple):
    """How many rows are encoded, and how many shards are built."""

    rows: int
    shards: int


def run_backfill(topology: Topology, options: BackfillOptions, job: Job) -> BackfillReport:
    """Encode, build and publish; what is finished is kept, whatever ends the run.

    Raises: BackfillFailed, with the error of the worker that failed; DiskFull; GenerationBegun;
    Fenced; AppendUnknown.
    """
    work = WorkFolder(options.work)
    began = time.monotonic()
    resumed = progress(job, work)
    try:
        run_pipeline(work.folder, job.digest, len(job.splits), job.shards, options.beam)
    except Exception as error:  # each runner raises errors of its own
        raise _cause_of(error, work) from error
    shards = publish_shards(topology, job, work)
    seconds = time.monotonic() - began
    finished = [read_finished(work, number) for number in range(len(job.splits))]
    built = [read_built(work, shard) for shard in range(job.shards)]
    refused = sum(one.refused for one in finished)
    rows = sum(one.rows for one in finished)
    return BackfillReport(
        generation=job.generation,
        fingerprint=job.fingerprint,
        rows=rows,
        items=sum(one.put for one in built),
        dropped=sum(one.dropped for one in built),
        stale=sum(one.stale for one in built),
        refused=refused,
        resumed_rows=resumed.rows,
        resumed_shards=resumed.shards,
        seconds=round(seconds, 3),
        rows_per_second=round((rows - resumed.rows) / seconds, 1),
        refused_file=_gather_refused(job, work),
        first_refused=next((one.first_refused for one in finished if one.first_refused), None),
        shards=shards,
    )


def progress(job: Job, work: WorkFolder) -> BackfillProgress:
    """What is finished, according to the work folder."""
    done = [split for n, split in enumerate(job.splits) if work.finished(n).exists()]
    built = sum(work.built(shard).exists() for shard in range(job.shards))
    return BackfillProgress(sum(split.rows for split in done), built)


def _cause_of(error: Exception, work: WorkFolder) -> Exception:
    """The error that a runner's error was caused by, with one line of message."""
    text = str(error)
    if isinstance(error, DiskFull) or _FULL.search(text):
        return DiskFull(work.folder)
    found = _KAE_ERROR.findall(f"{type(error).__module__}.{type(error).__name__}: {text}")
    if not found:
        return error
    return BackfillFailed(
        f"{found[-1]}. What was finished is kept in {work.folder}: the same command goes on"
    )


def _gather_refused(job: Job, work: WorkFolder) -> str | None:
    """Write all refused rows into one file, in the order of the input."""
    parts = [work.rejected(number) for number in range(len(job.splits))]
    lines = [part.read_bytes() for part in parts if part.exists()]
    if not lines:
        return None
    gathered = work.folder / "refused.jsonl"
    gathered.write_bytes(b"".join(lines))
    return str(gathered)
