"""Read a split of the input: item changes, and what is refused and why."""

import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from kafka import TopicPartition

from kae.sinks.store.plan import Change
from kae.streams.backfill.job import EventsSplit, InputFile, Job, RowsSplit
from kae.streams.backfill.refusals import SOURCE, RefusedRow, refused_row
from kae.streams.backfill.work import SHARE_FOLDERS
from kae.streams.catalog.files import open_feed
from kae.streams.catalog.rejected import reject_store_views
from kae.streams.catalog.rows import FeedPosition, FeedRow, RejectedRow, read_row
from kae.streams.dead_letters.records import DeadLetter, SourceRecord
from kae.streams.errors import BackfillDiffers
from kae.streams.events.envelope import Undecodable
from kae.streams.events.items import as_decoded, beyond_bounds, check_home, decode_item
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.reader import read_ranges
from kae.streams.topology.types import Topology

RefusedInput = RefusedRow | DeadLetter
# A change and its source, which a dead letter needs if the change turns out to be poison.
InputPart = tuple[Change, FeedRow | SourceRecord]


def read_file(split: RowsSplit, job: Job, topology: Topology) -> Iterator[InputPart | RefusedInput]:
    """Read the rows of a part of a feed.

    Raises: BackfillDiffers when the file at this path is not that of the job; CatalogInvalid when
    it cannot be read to its end.
    """
    path = _checked_path(job.files[split.file])
    limit = topology.limits.event_bytes
    records = open_feed(path).read_row_groups(split.groups)
    rows = (
        read_row(path, FeedPosition(split.file, number), record, topology.catalog)
        for number, record in enumerate(records, split.before + 1)
    )
    for row in reject_store_views(rows):
        if isinstance(row, RejectedRow):
            yield refused_row(row, job, limit)
            continue
        revision = job.revision if row.revision is None else row.revision
        try:
            change = as_decoded(row.item, revision, SOURCE, limit)
        except Undecodable as error:
            field, value, reason = beyond_bounds(row.item) or ("", None, str(error))
            remedy = "shorten it, or leave the column out"
            rejected = RejectedRow(path, row.after, field, value, reason, remedy, row.record)
            yield refused_row(rejected, job, limit, error.kind, (row.item, revision))
            continue
        yield change, row


def _checked_path(file: InputFile) -> Path:
    """The path of a file of unchanged size; its time is not compared, as clocks may differ."""
    path = Path(file.path)
    size = path.stat().st_size if path.exists() else None
    if size != file.bytes:
        what = "is not there" if size is None else f"has {size:,} bytes and had {file.bytes:,}"
        raise BackfillDiffers(f"{socket.gethostname()}: {path} {what}; {SHARE_FOLDERS}")
    return path


def read_events(
    split: EventsSplit, topology: Topology, clients: KafkaClients, earlier: Sequence[int] = ()
) -> Iterator[InputPart | RefusedInput]:
    """Read the records of a range of the items topic.

    `earlier` are the numbers of shards before partitions were added: the events of a part of the
    items lie in two partitions, and an item's revisions decide which of them is newer.
    Raises: LogTruncated when some of them are gone.
    """
    place = TopicPartition(topology.items_topic, split.partition)
    with clients.borrowed_consumer() as consumer:
        wanted = {place: range(split.begin, split.end)}
        for record in read_ranges(consumer, wanted, clients.timeout_seconds):
            # Its offsets may skip the markers of transactions, and what these have aborted; a range
            # that lacks records is refused by the consumer, which resets no position.
            yield _decoded(record, topology, earlier)


def _decoded(
    record: "SourceRecord", topology: Topology, earlier: Sequence[int]
) -> InputPart | RefusedInput:
    source = SourceRecord(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        tuple(record.headers),
    )
    try:
        change = decode_item(source.key, source.value, topology.limits.event_bytes, source.headers)
        check_home(change.id, source.partition, topology.shards, earlier)
    except Undecodable as error:
        return DeadLetter(source, str(error), error.kind)
    return change, source
