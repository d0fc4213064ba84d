"""What a backfill will take here, told from a sample that goes the whole way to stores."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from kae.sinks.store.disk import folder_bytes
from kae.streams.backfill import job as jobs
from kae.streams.backfill.build import build_shard
from kae.streams.backfill.encode import Finished, Setting, encode_split
from kae.streams.backfill.job import Job, described, split_catalog
from kae.streams.backfill.work import WorkFolder
from kae.streams.codebooks.opening import open_codebook
from kae.streams.errors import CatalogInvalid
from kae.streams.topology.types import Topology

# A runner and its processes, until the first row is read.
START_SECONDS = 5.0


class BackfillPlanned(msgspec.Struct, frozen=True):
    """What `kae backfill plan --json` prints; of text files, `rows` is an upper bound."""

    files: int
    rows: int
    splits: int
    shards: int
    store_bytes: int
    work_bytes: int  # of the runs, beside the stores
    workers: int
    seconds: float
    core_hours: float
    rows_per_second_of_a_core: float
    sample_rows: int
    sample_refused: int
    sample_seconds: float


def plan_backfill(
    topology: Topology, files: Sequence[Path], split_rows: int, workers: int, seconds: float
) -> BackfillPlanned:
    """Take a sample for so many seconds from splits all over the catalog, and scale it up.

    Raises: CatalogInvalid, CodebookDiffers, DiskFull.
    """
    splits = tuple(split_catalog(files, topology, split_rows))
    with tempfile.TemporaryDirectory(prefix="kae-plan-") as folder:
        work = WorkFolder(Path(folder))
        job = Job(
            generation=topology.generation,
            shards=topology.shards,
            fingerprint=open_codebook(topology).fingerprint,
            revision=1,
            as_of_ms=0,
            next_offsets=(0,) * topology.shards,
            files=described(files),
            splits=splits,
        )
        topology.write(work.topology)
        jobs.save(job, work)
        return _sampled(Setting(work.folder, job.digest), workers, seconds)


def _sampled(here: Setting, workers: int, seconds: float) -> BackfillPlanned:
    job, work = here.job, here.work
    began = time.monotonic()
    _ = here.encoder  # loading it is part of the start
    loaded = time.monotonic()
    taken = _encode_sample(here, loaded + seconds)
    encoded = time.monotonic()
    rows = sum(finished.rows for finished in taken.values())
    if not rows:
        raise CatalogInvalid(f"no row was read in {seconds:g} s; give more with --sample")
    for shard in range(job.shards):
        build_shard(here, shard, list(taken))
    built = time.monotonic()
    scale = job.rows / rows
    core_seconds = scale * (built - loaded)
    # Encoding is divided by splits, building by shards.
    wall = scale * (
        (encoded - loaded) / min(workers, len(job.splits))
        + (built - encoded) / min(workers, job.shards)
    )
    stores = sum(folder_bytes(work.shard(shard) / "store") for shard in range(job.shards))
    return BackfillPlanned(
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


def _encode_sample(here: Setting, until: float) -> dict[int, Finished]:
    """Splits from all over the catalog, each for its share of the time."""
    count = min(len(here.job.splits), 16)
    step = len(here.job.splits) / count
    chosen = sorted({int(number * step) for number in range(count)})
    taken: dict[int, Finished] = {}
    for place, split in enumerate(chosen):
        left = until - time.monotonic()
        taken[split] = encode_split(here, split, time.monotonic() + left / (len(chosen) - place))
    return taken
