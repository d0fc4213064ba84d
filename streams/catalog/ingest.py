"""Publish a catalog as item events: read -> encode -> send -> acknowledge, in row order.

Only the acknowledged prefix counts: a row is complete when it and all rows before it are
acknowledged by Kafka, or written down as rejected. The saved progress is that prefix.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import dropwhile, islice
from pathlib import Path
from urllib.parse import quote

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.producer.future import FutureRecordMetadata

from kae.streams.catalog.coverage import CoverageCount, MappingCoverage
from kae.streams.catalog.files import FeedFile
from kae.streams.catalog.ingest_progress import IngestProgress, ProgressFile
from kae.streams.catalog.rejected import RejectedRows, reject_repeated
from kae.streams.catalog.rows import FeedPosition, FeedRow, RejectedRow, open_catalog, read_rows
from kae.streams.errors import KafkaUnreachable
from kae.streams.events.envelope import Undecodable
from kae.streams.events.items import beyond_bounds, decode_item, encode_item_upsert
from kae.streams.kafka.connection import REFUSALS, bootstrap_ms, connection, reached_brokers
from kae.streams.kafka.topics import check_topics
from kae.streams.telemetry.traces import tracer
from kae.streams.topology.parts import CatalogPart
from kae.streams.topology.types import Topology

# Rows that are read but not yet complete, at most; bounds the memory.
IN_FLIGHT = 8192
SAVE_SECONDS = 0.5
CLOSE_SECONDS = 2.0
MIN_SLEEP_SECONDS = 0.002
LINGER_MS = 20
BATCH_BYTES = 128 << 10


@dataclass(frozen=True, slots=True)
class IngestPlan:
    """The options of an ingest."""

    rejected: Path
    revision: int | None = None  # None: the start time in milliseconds
    rows_per_second: float | None = None
    limit: int | None = None  # rows, including those of the ingest that is resumed
    restart: bool = False


class IngestReport(msgspec.Struct, frozen=True):
    """What `kae catalog ingest --json` prints."""

    rows: int  # = published + rejected
    published: int
    rejected: int
    resumed_rows: int  # rows that the interrupted ingest had completed
    revision: int
    seconds: float
    rows_per_second: float
    rejected_file: str | None
    first_rejected: str | None
    coverage: MappingCoverage  # of the rows that this ingest read


InFlightRow = tuple[FeedRow, FutureRecordMetadata] | RejectedRow
OnIngestProgress = Callable[[int, int], None]  # rows completed, rows rejected


def ingest_feeds(
    topology: Topology,
    paths: Sequence[Path],
    plan: IngestPlan,
    on_progress: OnIngestProgress | None = None,
) -> IngestReport:
    """Publish the rows of feed files; rejected rows are counted and written to a file.

    Raises: CatalogInvalid; TopicDiffers; KafkaUnreachable, after the acknowledged prefix is saved.
    """
    feeds = open_catalog(paths, topology.catalog)
    check_topics(topology)
    progress_file = ProgressFile(feeds, f"{topology.kafka.bootstrap}/{topology.items_topic}")
    progress = progress_file.open(plan.revision or time.time_ns() // 1_000_000, plan.restart)
    resumed = progress.published + progress.rejected
    count = CoverageCount(topology.catalog.fields, topology.limits.mapped_percent)
    rows = count.count(_rows_after(progress.feed_position, feeds, topology.catalog))
    if plan.limit is not None:
        rows = islice(rows, max(0, plan.limit - resumed))
    with closing(RejectedRows(plan.rejected, progress.rejected_bytes)) as rejected:
        start = time.monotonic()
        publisher = _Publisher(topology, progress, progress_file, rejected, on_progress)
        publisher.publish(_limit_rate(rows, plan.rows_per_second))
        seconds = time.monotonic() - start
        progress_file.remove()
        done = progress.published + progress.rejected
        return IngestReport(
            rows=done,
            published=progress.published,
            rejected=progress.rejected,
            resumed_rows=resumed,
            revision=progress.revision,
            seconds=round(seconds, 3),
            rows_per_second=round((done - resumed) / seconds, 1) if seconds else 0.0,
            rejected_file=str(plan.rejected) if progress.rejected else None,
            first_rejected=str(rejected.first) if rejected.first else None,
            coverage=count.result(),
        )


def _rows_after(
    place: FeedPosition, feeds: Sequence[FeedFile], catalog: CatalogPart
) -> Iterator[FeedRow | RejectedRow]:
    if catalog.revision is not None:
        return read_rows(feeds, catalog, place)
    # Read from the beginning: a row may repeat an id that the interrupted ingest published.
    rows = reject_repeated(read_rows(feeds, catalog), catalog.id)
    return dropwhile(lambda row: row.after <= place, rows)


class _Publisher:
    def __init__(
        self,
        topology: Topology,
        progress: IngestProgress,
        progress_file: ProgressFile,
        rejected: RejectedRows,
        on_progress: OnIngestProgress | None,
    ) -> None:
        self._topology = topology
        self._progress = progress
        self._progress_file = progress_file
        self._rejected = rejected
        self._on_progress = on_progress
        self._in_flight: deque[InFlightRow] = deque()
        self._tracer = tracer("ingest", str(os.getpid()))
        self._saved = time.monotonic()

    def publish(self, rows: Iterable[FeedRow | RejectedRow]) -> None:
        """Send every row and wait until all are acknowledged."""
        with reached_brokers(self._topology):
            producer = self._producer()
            try:
                for row in rows:
                    self._in_flight.append(self._send(producer, row))
                    self._complete_until(IN_FLIGHT)
                producer.flush()
                self._complete_until(0)
            finally:
                # However it ends, save what Kafka has acknowledged, so that it is not sent again.
                _close(producer)
                self._complete_acknowledged()
                self._save()

    def _producer(self) -> KafkaProducer:
        kafka = self._topology.kafka
        return KafkaProducer(
            **connection(self._topology),
            client_id=f"{kafka.client_id}-ingest",
            acks="all",
            enable_idempotence=True,
            linger_ms=LINGER_MS,
            batch_size=BATCH_BYTES,
            request_timeout_ms=int(kafka.request_timeout_seconds * 1000),
            delivery_timeout_ms=int(kafka.delivery_timeout_seconds * 1000) + LINGER_MS,
            allow_auto_create_topics=False,
            bootstrap_timeout_ms=bootstrap_ms(self._topology),
        )

    def _send(self, producer: KafkaProducer, row: FeedRow | RejectedRow) -> InFlightRow:
        if isinstance(row, RejectedRow):
            return row
        revision = self._progress.revision if row.revision is None else row.revision
        source = f"/kae/catalog/{quote(row.file.name)}"
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        key = row.item.id.encode()
        value = encode_item_upsert(row.item, revision, source, now)
        try:
            # What a worker would refuse is rejected here, where the row can still be corrected.
            decode_item(key, value, self._topology.limits.event_bytes)
        except Undecodable as error:
            field, held, reason = beyond_bounds(row.item) or ("", None, str(error))
            remedy = "shorten it, or leave the column out"
            return RejectedRow(row.file, row.after, field, held, reason, remedy, row.record)
        return row, self._send_event(producer, row.item.id, key, value)

    def _send_event(
        self, producer: KafkaProducer, item: str, key: bytes, value: bytes
    ) -> FutureRecordMetadata:
        topic = self._topology.items_topic
        if self._tracer is None:
            return producer.send(topic, key=key, value=value)
        spans = self._tracer.send(topic, item)
        sent = producer.send(topic, key=key, value=value, headers=spans.headers)
        sent.add_callback(lambda stored: spans.end(**{"messaging.kafka.offset": stored.offset}))
        sent.add_errback(spans.fail)
        return sent

    def _complete_until(self, allowed: int) -> None:
        while len(self._in_flight) > allowed:
            self._complete_oldest()
        self._complete_acknowledged()
        if time.monotonic() - self._saved >= SAVE_SECONDS:
            self._save()

    def _complete_acknowledged(self) -> None:
        while self._in_flight:
            oldest = self._in_flight[0]
            if not isinstance(oldest, RejectedRow) and not oldest[1].succeeded():
                return
            self._complete_oldest()

    def _complete_oldest(self) -> None:
        oldest = self._in_flight[0]
        if isinstance(oldest, RejectedRow):
            self._rejected.write(oldest)
            self._progress.rejected += 1
            self._progress.rejected_bytes = self._rejected.size_bytes
            self._progress.position = oldest.after
        else:
            row, future = oldest
            self._wait(row, future)
            self._progress.published += 1
            self._progress.position = row.after
        self._in_flight.popleft()

    def _wait(self, row: FeedRow, future: FutureRecordMetadata) -> None:
        try:
            future.get(timeout=self._topology.kafka.delivery_timeout_seconds + 1)
        except REFUSALS:
            raise
        except KafkaError as error:
            raise KafkaUnreachable(
                f"{row.file} row {row.after.rows}: Kafka at {self._topology.kafka.bootstrap} has "
                f"not acknowledged it: {error}; run the same command again to resume there"
            ) from error

    def _save(self) -> None:
        self._progress_file.save(self._progress)
        self._saved = time.monotonic()
        if self._on_progress:
            self._on_progress(
                self._progress.published + self._progress.rejected, self._progress.rejected
            )


def _close(producer: KafkaProducer) -> None:
    try:
        producer.close(timeout=CLOSE_SECONDS)
    except KafkaTimeoutError:
        # close() timed out while flushing and left the producer open.
        producer._sender.force_close()
        producer._closed = True


def _limit_rate(
    rows: Iterable[FeedRow | RejectedRow], rows_per_second: float | None
) -> Iterator[FeedRow | RejectedRow]:
    if rows_per_second is None:
        yield from rows
        return
    start = time.monotonic()
    for number, row in enumerate(rows):
        ahead = number / rows_per_second - (time.monotonic() - start)
        # Shorter sleeps cost more than they save.
        if ahead > MIN_SLEEP_SECONDS:
            time.sleep(ahead)
        yield row
