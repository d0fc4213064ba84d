"""Start a backfill: decide what it is a backfill of, and write that down as a job.

The items offsets that the generation reads on from are recorded before the first row is read, so
live workers catch up with every event that the input may lack.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from kafka import KafkaConsumer, TopicPartition

from kae.streams.backfill import job as jobs
from kae.streams.backfill.job import (
    EventsSplit,
    Job,
    Split,
    check_same_job,
    input_files,
    split_catalog,
)
from kae.streams.backfill.work import WorkFolder
from kae.streams.clock import now_ms
from kae.streams.codebooks.opening import open_codebook_for_indexing
from kae.streams.control.client import read_generations
from kae.streams.errors import AsOfGone, GenerationBegun
from kae.streams.kafka.connection import reached_brokers
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.topics import apply_topics
from kae.streams.snapshots.archives import snapshots_url
from kae.streams.topology.types import Topology


class _Shards(msgspec.Struct, frozen=True):
    """What an announced topology says of the items topic."""

    shards: int


@dataclass(frozen=True, slots=True)
class BackfillOptions:
    """The input of a backfill, and how it is run."""

    files: tuple[Path, ...]
    work: Path
    from_items: bool = False
    as_of_ms: int | None = None  # None: now
    revision: int | None = None  # None: the start time, in milliseconds
    split_rows: int = 65_536
    restart: bool = False
    beam: tuple[str, ...] = ()  # Beam's options


def start_backfill(topology: Topology, options: BackfillOptions) -> Job:
    """Write the job to the work folder, or find an interrupted one there.

    Raises: BackfillDiffers, GenerationBegun, AsOfGone, CatalogInvalid, SnapshotsOff,
    CodebookDiffers.
    """
    snapshots_url(topology)
    work = WorkFolder(options.work)
    if options.restart:
        shutil.rmtree(work.folder, ignore_errors=True)
    found = jobs.load(work)
    fingerprint = open_codebook_for_indexing(topology).fingerprint
    apply_topics(topology)
    with (
        KafkaClients.for_writing(topology, "backfill") as clients,
        reached_brokers(topology),
        clients.borrowed_consumer() as consumer,
    ):
        earlier = found.earlier_shards if found else _earlier_shards(topology, clients)
        wanted = _job(topology, options, fingerprint, consumer, found, earlier)
        if found is not None:
            check_same_job(found, wanted, work)
            return found
        _check_unused(topology, consumer)
    work.folder.mkdir(parents=True, exist_ok=True)
    topology.write(work.topology)
    jobs.save(wanted, work)
    return wanted


def _job(
    topology: Topology,
    options: BackfillOptions,
    fingerprint: str,
    consumer: KafkaConsumer,
    found: Job | None,
    earlier_shards: tuple[int, ...],
) -> Job:
    """The job that these options ask for; an interrupted one has fixed its offsets already."""
    # Without the items topic, the generation reads on from the start of the dump; with it, the
    # backfill reads what came since, and the generation reads on from now.
    to_ms = None if options.files and options.from_items else options.as_of_ms
    offsets = found.next_offsets if found else next_offsets(topology, consumer, to_ms)
    splits: list[Split] = []
    if options.files:
        splits += split_catalog(options.files, topology, options.split_rows)
    if options.from_items:
        splits += _item_ranges(topology, consumer, options, offsets)
    as_of_ms = now_ms() if options.as_of_ms is None else options.as_of_ms
    return Job(
        generation=topology.generation,
        shards=topology.shards,
        fingerprint=fingerprint,
        revision=options.revision or as_of_ms,
        as_of_ms=as_of_ms,
        next_offsets=offsets,
        files=input_files(options.files),
        splits=tuple(splits),
        earlier_shards=earlier_shards,
    )


def _earlier_shards(topology: Topology, clients: KafkaClients) -> tuple[int, ...]:
    """The other numbers of shards that generations have had, as announced or by their logs."""
    announced = read_generations(topology, clients).announced.values()
    found = {msgspec.json.decode(one.topology, type=_Shards).shards for one in announced}
    logs = re.compile(rf"{re.escape(topology.topics.prefix)}\.g\d+\.deltas")
    with clients.borrowed_consumer() as consumer:
        for topic in filter(logs.fullmatch, consumer.topics()):
            found.add(len(consumer.partitions_for_topic(topic)))
    return tuple(sorted(found - {topology.shards}))


def _item_ranges(
    topology: Topology, consumer: KafkaConsumer, options: BackfillOptions, ends: tuple[int, ...]
) -> Iterator[EventsSplit]:
    """Splits of the items topic up to these ends: all of it, or what came since the dump began."""
    if options.files:
        begins = next_offsets(topology, consumer, options.as_of_ms)
    else:
        begins = first_offsets(topology, consumer)
    for shard, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        for first in range(begin, end, options.split_rows):
            yield EventsSplit(shard, first, min(first + options.split_rows, end))


def _check_unused(topology: Topology, consumer: KafkaConsumer) -> None:
    """Raises: GenerationBegun when a log of the generation holds anything."""
    places = [TopicPartition(topology.deltas_topic, shard) for shard in range(topology.shards)]
    for place, end in consumer.end_offsets(places).items():
        if end > 0:
            raise GenerationBegun(
                f"{place.topic}/{place.partition}: holds {end} records: generation "
                f"{topology.generation} was begun already. Give a new --generation, or the --work "
                "folder of the backfill that began it"
            )


def next_offsets(
    topology: Topology, consumer: KafkaConsumer, as_of_ms: int | None
) -> tuple[int, ...]:
    """For each shard, the end of its items, or the offset of the first one since a time.

    Raises: AsOfGone when newer events may be gone from the topic.
    """
    places = [TopicPartition(topology.items_topic, shard) for shard in range(topology.shards)]
    ends = consumer.end_offsets(places)
    if as_of_ms is None:
        return tuple(ends[place] for place in places)
    begins = consumer.beginning_offsets(places)
    found = consumer.offsets_for_times(dict.fromkeys(places, as_of_ms))
    offsets = []
    for place in places:
        first = found.get(place)
        offset = ends[place] if first is None else first.offset
        if offset == begins[place] > 0:
            raise AsOfGone(
                f"{place.topic}/{place.partition}: begins at offset {offset}, which may be later "
                "than --as-of: newer events are gone. Dump the catalog again, or raise "
                "topics.items_retention_hours before the next dump"
            )
        offsets.append(offset)
    return tuple(offsets)


def first_offsets(topology: Topology, consumer: KafkaConsumer) -> tuple[int, ...]:
    """For each shard, the first offset of its items.

    Raises: AsOfGone when events are gone from the topic: they cannot be recovered.
    """
    places = [TopicPartition(topology.items_topic, shard) for shard in range(topology.shards)]
    begins = consumer.beginning_offsets(places)
    for place in places:
        if begins[place] > 0:
            raise AsOfGone(
                f"{place.topic}/{place.partition}: begins at offset {begins[place]}, so it does "
                "not hold every item. Give a CATALOG with --as-of beside --from-items"
            )
    return tuple(begins[place] for place in places)
