"""Read partitions up to an end that is fixed before reading starts.

Also the check, made before a process starts, that the logs belong to its codebook.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from kae.encoders.codebook.codebook import Codebook
from kae.sinks.log.edits import Delta
from kae.sinks.log.fold import LogCorrupt, LogState, fold
from kae.sinks.log.protocol import refuse_gap
from kae.streams.errors import CodebookDiffers, KafkaUnreachable
from kae.streams.kafka.connection import bootstrap_ms, connection, reached_brokers
from kae.streams.kafka.consumer import WholeConsumer, poll
from kae.streams.kafka.log import KafkaClients
from kae.streams.topology.types import Topology

# Enough for the first record of a log, which is small; a log's later records are not fetched.
FIRST_RECORD_BYTES = 64 << 10


def read_ranges(
    consumer: KafkaConsumer, ranges: Mapping[TopicPartition, range], silence_seconds: float
) -> Iterator[Any]:
    """The records of each partition in its range of offsets; within a partition in offset order.

    The range is contiguous; the consumer is reassigned.
    Raises: LogTruncated when a partition no longer holds the start of its range; KafkaUnreachable
    when no record comes for `silence_seconds` and the ranges are not read to their ends.
    """
    unread = [place for place, offsets in ranges.items() if offsets]
    if not unread:
        return
    name = ", ".join(map(_name, unread))
    consumer.assign(unread)
    for place in unread:
        consumer.seek(place, ranges[place].start)
    last_record_at = time.monotonic()
    # The position also moves past transaction markers, which are no records.
    while unread := [place for place in unread if consumer.position(place) < ranges[place].stop]:
        records = poll(consumer, name)
        if records:
            last_record_at = time.monotonic()
        elif time.monotonic() - last_record_at > silence_seconds:
            place = unread[0]
            raise KafkaUnreachable(
                f"{_name(place)}: no record came for {silence_seconds:g} s at offset "
                f"{consumer.position(place)} of {ranges[place].stop}; see that every Kafka broker "
                "runs, then run the same command again"
            )
        for record in records:
            if record.offset < ranges[TopicPartition(record.topic, record.partition)].stop:
                yield record


def read_to_end(
    clients: KafkaClients, starts: Mapping[TopicPartition, int | None]
) -> Iterator[Any]:
    """The records of each partition from an offset to its present end; None: from its beginning.

    Raises: LogTruncated, KafkaUnreachable.
    """
    with clients.borrowed_consumer() as consumer:
        unknown = [place for place, start in starts.items() if start is None]
        begins = consumer.beginning_offsets(unknown) if unknown else {}
        ends = consumer.end_offsets(list(starts))
        ranges = {
            place: range(begins[place] if start is None else start, ends[place])
            for place, start in starts.items()
        }
        yield from read_ranges(consumer, ranges, clients.timeout_seconds)


def read_deltas(
    clients: KafkaClients, place: TopicPartition, state: LogState
) -> Iterator[tuple[LogState, Delta]]:
    """The accepted deltas from a state to the log's present end, each with the state after it.

    Raises: KafkaUnreachable, LogTruncated, LogCorrupt.
    """
    for record in read_to_end(clients, {place: state.next_offset}):
        refuse_gap(_name(place), state.next_offset, record.offset)
        folded = fold(state, record.offset, record.value or b"")
        state = folded.state
        if folded.delta is not None:
            yield state, folded.delta


def check_logs(topology: Topology, codebook: Codebook) -> None:
    """Refuse to start on logs that were begun with another codebook.

    Raises: CodebookDiffers; LogCorrupt when a log's first record is not kae's; KafkaUnreachable.
    """
    with reached_brokers(topology):
        consumer = WholeConsumer(
            **connection(topology),
            client_id=f"{topology.kafka.client_id}-check",
            group_id=None,
            enable_auto_commit=False,
            max_partition_fetch_bytes=FIRST_RECORD_BYTES,
            bootstrap_timeout_ms=bootstrap_ms(topology),
        )
        try:
            for record in _first_records(consumer, topology):
                _check_codebook(record, topology, codebook)
        finally:
            consumer.close(autocommit=False)


def _first_records(consumer: KafkaConsumer, topology: Topology) -> Iterator[Any]:
    """The first record of every log that has one."""
    logs = [TopicPartition(topology.bindings_topic, 0)]
    logs += [TopicPartition(topology.deltas_topic, shard) for shard in range(topology.shards)]
    begins, ends = consumer.beginning_offsets(logs), consumer.end_offsets(logs)
    first = {log: range(begins[log], min(begins[log] + 1, ends[log])) for log in logs}
    yield from read_ranges(consumer, first, topology.kafka.request_timeout_seconds)


def _check_codebook(record: Any, topology: Topology, codebook: Codebook) -> None:
    name = f"{record.topic}/{record.partition}"
    try:
        begun_with = fold(LogState(), record.offset, record.value or b"").state.fingerprint
    except LogCorrupt as error:
        raise LogCorrupt(f"{name}: {error}") from error
    # The first record of a trimmed log need not be a claim; its readers check the fingerprint.
    if begun_with and begun_with != codebook.fingerprint:
        raise CodebookDiffers(
            f"{name}: begun with codebook {begun_with}, {topology.codebook_folder} is "
            f"{codebook.fingerprint}; point codebook.path in {topology.path} at the first, or "
            "raise generation for the second"
        )


def _name(place: TopicPartition) -> str:
    return f"{place.topic}/{place.partition}"
