"""A backfill from its beginning to the snapshots of a whole generation."""

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
from kafka import KafkaConsumer, TopicPartition

from kae.sinks.log.edits import Counts, SourceRange
from kae.sinks.snapshots.manifest import SnapshotOrigin
from kae.sinks.snapshots.take import take_snapshot
from kae.sinks.store.disk import DiskFull
from kae.streams.backfill import job as jobs
from kae.streams.backfill.build import Built
from kae.streams.backfill.encode import Finished
from kae.streams.backfill.job import (
    EventsSplit,
    Job,
    Split,
    described,
    refuse_another,
    split_catalog,
)
from kae.streams.backfill.pipeline import run_pipeline
from kae.streams.backfill.refusals import read_letters
from kae.streams.backfill.seal import SealedPosition, beginnings, next_offsets, seal
from kae.streams.backfill.work import WorkFolder, write_whole
from kae.streams.clock import now_ms
from kae.streams.codebooks.opening import open_codebook
from kae.streams.dead_letters.records import publish_dead_letters
from kae.streams.errors import BackfillFailed, GenerationBegun
from kae.streams.kafka.connection import reached_brokers
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.topics import apply_topics
from kae.streams.snapshots.archives import log_name, open_archive, snapshots_url
from kae.streams.snapshots.pruning import trim_logs
from kae.streams.topology.types import Topology

# Of a runner's error: the line of the traceback that names ours.
_OURS = re.compile(r"^(?:\w+: )?kae\.[\w.]+: (?P<said>.+?)(?: \[while running .*)?$", re.MULTILINE)
_FULL = re.compile(r"No space left on device|Disk quota exceeded|kae\.sinks\.store\.disk\.DiskFull")


@dataclass(frozen=True, slots=True)
class BackfillPlan:
    """What is asked of a backfill."""

    files: tuple[Path, ...]
    work: Path
    from_items: bool = False
    as_of_ms: int | None = None  # None: now
    revision: int | None = None  # None: the time of the beginning, in milliseconds
    split_rows: int = 65_536
    restart: bool = False
    options: tuple[str, ...] = ()


class ShardBackfilled(msgspec.Struct, frozen=True):
    """A shard whose snapshot is in the archive."""

    shard: int
    items: int
    stale: int
    hash: str
    next_offset: int
    manifest: str


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
    """How far a backfill is."""

    rows: int
    shards: int


@contextmanager
def _clients(topology: Topology) -> Iterator[KafkaClients]:
    with KafkaClients.for_writing(topology, "backfill") as clients, reached_brokers(topology):
        yield clients


def begin(topology: Topology, plan: BackfillPlan) -> Job:
    """Write the job down, or find the one that was cut short.

    The offsets are recorded here, before any row is read.
    Raises: BackfillDiffers, GenerationBegun, AsOfGone, CatalogInvalid, SnapshotsOff,
    CodebookDiffers.
    """
    snapshots_url(topology)
    work = WorkFolder(plan.work)
    if plan.restart:
        shutil.rmtree(work.folder, ignore_errors=True)
    found = jobs.load(work)
    codebook = open_codebook(topology)
    apply_topics(topology)
    with _clients(topology) as clients, clients.borrowed_consumer() as consumer:
        # What follows a dump is read up to now; else the generation begins where the dump did.
        to_ms = None if plan.files and plan.from_items else plan.as_of_ms
        offsets = found.next_offsets if found else next_offsets(topology, consumer, to_ms)
        splits: list[Split] = []
        if plan.files:
            splits += split_catalog(plan.files, topology, plan.split_rows)
        if plan.from_items:
            splits += _ranges(topology, consumer, plan, offsets)
        at_ms = now_ms()
        wanted = Job(
            generation=topology.generation,
            shards=topology.shards,
            fingerprint=codebook.fingerprint,
            revision=plan.revision or (at_ms if plan.as_of_ms is None else plan.as_of_ms),
            as_of_ms=at_ms if plan.as_of_ms is None else plan.as_of_ms,
            next_offsets=offsets,
            files=described(plan.files),
            splits=tuple(splits),
        )
        if found is not None:
            refuse_another(found, wanted, work)
            return found
        _refuse_begun(topology, consumer)
    work.folder.mkdir(parents=True, exist_ok=True)
    topology.write(work.topology)
    jobs.save(wanted, work)
    return wanted


def _ranges(
    topology: Topology, consumer: KafkaConsumer, plan: BackfillPlan, ends: tuple[int, ...]
) -> Iterator[EventsSplit]:
    """The whole topic up to these ends, or what came since the dump began."""
    if plan.files:
        begins = next_offsets(topology, consumer, plan.as_of_ms)
    else:
        begins = beginnings(topology, consumer)
    for shard, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        for first in range(begin, end, plan.split_rows):
            yield EventsSplit(shard, first, min(first + plan.split_rows, end))


def _refuse_begun(topology: Topology, consumer: KafkaConsumer) -> None:
    """Raises: GenerationBegun when a log of the generation holds anything."""
    places = [TopicPartition(topology.deltas_topic, shard) for shard in range(topology.shards)]
    for place, end in consumer.end_offsets(places).items():
        if end > 0:
            raise GenerationBegun(
                f"{place.topic}/{place.partition}: holds {end} records: generation "
                f"{topology.generation} was begun already. Give a new --generation, or the --work "
                "folder of the backfill that began it"
            )


def backfill(topology: Topology, plan: BackfillPlan, job: Job) -> BackfillReport:
    """Encode, build, and seal; what is finished is kept, whatever ends it.

    Raises: BackfillFailed, with the error of the worker that failed; DiskFull; what `seal` raises.
    """
    work = WorkFolder(plan.work)
    began = time.monotonic()
    resumed = progress(job, work)
    try:
        run_pipeline(work.folder, job.digest, len(job.splits), job.shards, plan.options)
    except Exception as error:  # each runner has its own kinds
        raise _told(error, work) from error
    shards = _seal_all(topology, job, work)
    seconds = time.monotonic() - began
    finished = [_finished(work, number) for number in range(len(job.splits))]
    built = [_built(work, shard) for shard in range(job.shards)]
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
    """What is finished, as the work folder tells."""
    done = [split for n, split in enumerate(job.splits) if work.finished(n).exists()]
    built = sum(work.built(shard).exists() for shard in range(job.shards))
    return BackfillProgress(sum(split.rows for split in done), built)


def _told(error: Exception, work: WorkFolder) -> Exception:
    """What a runner's error comes from, in one line."""
    text = str(error)
    if isinstance(error, DiskFull) or _FULL.search(text):
        return DiskFull(work.folder)
    found = _OURS.findall(f"{type(error).__module__}.{type(error).__name__}: {text}")
    if not found:
        return error
    return BackfillFailed(
        f"{found[-1]}. What was finished is kept in {work.folder}: the same command goes on"
    )


def _seal_all(topology: Topology, job: Job, work: WorkFolder) -> list[ShardBackfilled]:
    """Every shard is built by now; none is sealed before, nor before dead letters are stored."""
    refused = _refused_by_shard(job, work)
    with _clients(topology) as clients, clients.borrowed_consumer() as consumer:
        _send_letters(topology, clients, job, work)
        places = [TopicPartition(topology.deltas_topic, shard) for shard in range(job.shards)]
        begins = consumer.beginning_offsets(places)
        return [
            _seal_one(topology, clients, job, work, shard, begins[place], refused[shard])
            for shard, place in enumerate(places)
        ]


def _send_letters(topology: Topology, clients: KafkaClients, job: Job, work: WorkFolder) -> None:
    """Those of refused rows; sent again by a backfill that goes on, each is the same letter."""
    timeout = topology.kafka.delivery_timeout_seconds
    for number in range(len(job.splits)):
        if work.letters(number).exists():
            for letters in read_letters(work.letters(number)):
                publish_dead_letters(clients, topology.dead_letters_topic, letters, timeout)


def _refused_by_shard(job: Job, work: WorkFolder) -> list[int]:
    """Refused events count where they lay, refused rows, which have no shard, in the first."""
    counts = [0] * job.shards
    for number, split in enumerate(job.splits):
        shard = split.partition if isinstance(split, EventsSplit) else 0
        counts[shard] += _finished(work, number).refused
    return counts


def _seal_one(
    topology: Topology,
    clients: KafkaClients,
    job: Job,
    work: WorkFolder,
    shard: int,
    begins_at: int,
    refused: int,
) -> ShardBackfilled:
    if work.sealed(shard).exists():
        return msgspec.json.decode(work.sealed(shard).read_bytes(), type=ShardBackfilled)
    built = _built(work, shard)
    counts = Counts(built.read + refused, built.put, built.dropped, built.stale, refused)
    base = SealedPosition(SourceRange(next_offset=job.next_offsets[shard]), counts, job.as_of_ms)

    def trim(to: int) -> None:
        trim_logs(topology, {shard: to})

    store = seal(
        work.shard(shard) / "store",
        clients.log(topology.deltas_topic, shard),
        begins_at,
        base,
        job.fingerprint,
        trim,
        topology.limits.delta_bytes,
    )
    checkpoint = work.shard(shard) / "checkpoint"
    shutil.rmtree(checkpoint, ignore_errors=True)
    try:
        store.checkpoint(checkpoint)
        origin = SnapshotOrigin(
            log_name(topology, shard), job.generation, shard, "backfill", job.as_of_ms
        )
        taken = take_snapshot(open_archive(topology, shard), checkpoint, store.state, origin)
    finally:
        store.close()
    shutil.rmtree(checkpoint)
    offset = job.next_offsets[shard]
    done = ShardBackfilled(shard, built.put, built.stale, built.hash, offset, taken.name)
    write_whole(work.sealed(shard), msgspec.json.encode(done))
    return done


def _gather_refused(job: Job, work: WorkFolder) -> str | None:
    """All refused rows in one file, in the order of the input."""
    parts = [work.rejected(number) for number in range(len(job.splits))]
    lines = [part.read_bytes() for part in parts if part.exists()]
    if not lines:
        return None
    gathered = work.folder / "refused.jsonl"
    gathered.write_bytes(b"".join(lines))
    return str(gathered)


def _finished(work: WorkFolder, split: int) -> Finished:
    return msgspec.json.decode(work.finished(split).read_bytes(), type=Finished)


def _built(work: WorkFolder, shard: int) -> Built:
    return msgspec.json.decode(work.built(shard).read_bytes(), type=Built)
