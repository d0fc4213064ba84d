"""Estimate what a backfill takes context, from a sample that is encoded and built."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from kae.sinks.store.disk import folder_bytes
from kae.streams.backfill import job as jobs
from kae.streams.backfill.build import build_shard
from kae.streams.backfill.encode import FinishedSplit, JobContext, encode_split
from kae.streams.backfill.job import Job, input_files, split_catalog
from kae.streams.backfill.work import WorkFolder
from kae.streams.codebooks.opening import open_codebook_for_indexing
from kae.streams.errors import CatalogInvalid
from kae.streams.topology.types import Topology

# What a runner and its processes take until they read the first row.
START_SECONDS = 5.0


class BackfillEstimate(msgspec.Struct, frozen=True):
    """What `kae backfill plan --json` prints; of text files, `rows` is an upper bound."""

    files: int
    rows: int
    splits: int
    shards: int
    store_bytes: int
    work_bytes: int  # of the runs, in addition to the stores
    workers: int
    seconds: float
    core_hours: float
    rows_per_second_of_a_core: float
    sample_rows: int
    sample_refused: int
    sample_seconds: float


def estimate_backfill(
    topology: Topology, files: Sequence[Path], split_rows: int, workers: int, seconds: float
) -> BackfillEstimate:
    """Encode a sample from splits all over the catalog for some seconds, and scale it up.

    Raises: CatalogInvalid, CodebookDiffers, DiskFull.
    """
    splits = tuple(split_catalog(files, topology, split_rows))
    with tempfile.TemporaryDirectory(prefix="kae-plan-") as folder:
        work = WorkFolder(Path(folder))
        job = Job(
            generation=topology.generation,
            shards=topology.shards,
            fingerprint=open_codebook_for_indexing(topology).fingerprint,
            revision=1,
            as_of_ms=0,
            next_offsets=(0,) * topology.shards,
            files=input_files(files),
            splits=splits,
        )
        topology.write(work.topology)
        jobs.save(job, work)
        return _measure(JobContext(work.folder, job.digest), workers, seconds)


def _measure(context: JobContext, workers: int, seconds: float) -> BackfillEstimate:
    job, work = context.job, context.work
    began = time.monotonic()
    _ = context.encoder  # loading it is part of the start
    loaded = time.monotonic()
    taken = _encode_sample(context, loaded + seconds)
    encoded = time.monotonic()
    rows = sum(finished.rows for finished in taken.values())
    if not rows:
        raise CatalogInvalid(f"no row was read in {seconds:g} s; raise --sample")
    for shard in range(job.shards):
        build_shard(context, shard, list(taken))
    built = time.monotonic()
    scale = job.rows / rows
    core_seconds = scale * (built - loaded)
    # Encoding runs in parallel by splits, building by shards.
    wall = scale * (
        (encoded - loaded) / min(workers, len(job.splits))
        + (built - encoded) / min(workers, job.shards)
    )
    stores = sum(folder_bytes(work.shard(shard) / "store") for shard in range(job.shards))
    return BackfillEstimate(
        files=len(job.files),
        rows=job.rows,
        splits=len(job.splits),
        shards=job.shards,
        store_bytes=int(stores * scale),
        work_bytes=int(sum(run.stat().st_size for run in work.runs.glob("*.run")) * scale),
        workers=workers,
        seconds=round(START_SECONDS + (loaded - began) + wall, 1),
        core_hours=round((core_seconds + workers * (loaded - began)) / 3600, 4),
        rows_per_second_of_a_core=round(rows / (built - loaded), 1),
        sample_rows=rows,
        sample_refused=sum(finished.refused for finished in taken.values()),
        sample_seconds=round(built - loaded, 2),
    )


def _encode_sample(context: JobContext, until: float) -> dict[int, FinishedSplit]:
    """Encode splits from all over the catalog, each for its share of the time."""
    count = min(len(context.job.splits), 16)
    step = len(context.job.splits) / count
    chosen = sorted({int(number * step) for number in range(count)})
    taken: dict[int, FinishedSplit] = {}
    for place, split in enumerate(chosen):
        left = until - time.monotonic()
        taken[split] = encode_split(context, split, time.monotonic() + left / (len(chosen) - place))
    return taken
