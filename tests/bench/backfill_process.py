"""One measured run in its own process: `python -m kae.bench.backfill_process WHAT FEED FOLDER`.

Prints seconds and the peak of this process's and its workers' memory in bytes, as JSON.
"""

import json
import resource
import sys
import time
from pathlib import Path

from kae.bench.passthrough import count_rows
from kae.sinks.log.edits import Counts, SourceRange
from kae.sinks.log.protocol import MemoryLog
from kae.sinks.snapshots.archive import Archive
from kae.sinks.snapshots.manifest import SnapshotOrigin
from kae.sinks.snapshots.take import take_snapshot
from kae.streams.backfill import job as jobs
from kae.streams.backfill.job import Job, input_files, split_catalog
from kae.streams.backfill.pipeline import run_pipeline
from kae.streams.backfill.publish import FirstDelta, write_first_delta
from kae.streams.backfill.work import WorkFolder
from kae.streams.codebooks.opening import open_codebook
from kae.streams.runtime.interpreter import peak_memory_bytes
from kae.streams.topology.types import Topology

TWO = ("--direct_running_mode", "multi_processing", "--direct_num_workers", "2")
SPLIT_ROWS = 16_384


def backfill(feed: Path, folder: Path) -> None:
    """All of a backfill but the brokers: from the file to the snapshots of every shard."""
    topology = Topology.load()
    work = WorkFolder(folder / "work")
    job = Job(
        generation=1,
        shards=topology.shards,
        fingerprint=open_codebook(topology).fingerprint,
        revision=1,
        as_of_ms=1,
        next_offsets=(0,) * topology.shards,
        files=input_files([feed]),
        splits=tuple(split_catalog([feed], topology, SPLIT_ROWS)),
    )
    work.folder.mkdir(parents=True)
    topology.write(work.topology)
    jobs.save(job, work)
    run_pipeline(work.folder, job.digest, len(job.splits), job.shards, TWO)
    for shard in range(job.shards):
        _snapshot(work, job, shard, folder / "archive", topology)


def _snapshot(work: WorkFolder, job: Job, shard: int, archive: Path, topology: Topology) -> None:
    first = FirstDelta(SourceRange(), Counts(), job.as_of_ms)
    store = write_first_delta(
        work.shard(shard) / "store",
        MemoryLog(),
        0,
        first,
        job.fingerprint,
        lambda _to: None,
        topology.limits.delta_bytes,
    )
    checkpoint = work.shard(shard) / "checkpoint"
    store.checkpoint(checkpoint)
    name = f"bench/{shard}"
    origin = SnapshotOrigin(name, 1, shard, "bench", 1)
    take_snapshot(Archive.open(str(archive), name), checkpoint, store.state, origin)
    store.close()


def main() -> None:
    what, feed, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    began = time.perf_counter()
    if what == "backfill":
        backfill(feed, folder)
    else:
        count_rows(feed, ())
    seconds = time.perf_counter() - began
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak": peak_memory_bytes() + 2 * workers}))


if __name__ == "__main__":
    main()
