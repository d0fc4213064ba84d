"""Reading a log that kae owns to its end, once, by the rule of every reader.

The first record of each log, which says with which codebook it was begun.
"""

import time
from collections.abc import Iterator
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from kae.encoders.codebook.codebook import Codebook
from kae.sinks.log.edits import Delta
from kae.sinks.log.fold import LogCorrupt, LogState, fold
from kae.sinks.log.protocol import refuse_gap
from kae.streams.errors import CodebookDiffers, KafkaUnreachable
from kae.streams.kafka.connection import bootstrap_ms, connection, reached_brokers
from kae.streams.kafka.log import KafkaClients, poll
from kae.streams.topology.types import Topology


def clients_for(topology: Topology, purpose: str) -> KafkaClients:
    """Clients for a command that reads; close them."""
    return KafkaClients.of(
        topology,
        purpose,
        timeout_seconds=topology.kafka.request_timeout_seconds,
        max_bytes=topology.limits.delta_bytes,
    )


def deltas_from(
    topology: Topology, clients: KafkaClients, partition: TopicPartition, state: LogState
) -> Iterator[tuple[LogState, Delta]]:
    """The deltas that count, from a state on to the log's end, each with the state after it.

    Raises: KafkaUnreachable, LogTruncated, LogCorrupt.
    """
    name = f"{partition.topic}/{partition.partition}"
    consumer = clients.consumer()
    try:
        consumer.assign([partition])
        consumer.seek(partition, state.next_offset)
        end = consumer.end_offsets([partition])[partition]
        heard_at = time.monotonic()
        while state.next_offset < end:
            records = poll(consumer, name)
            if records:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > topology.kafka.request_timeout_seconds:
                raise KafkaUnreachable(
                    f"{name}: silent at offset {state.next_offset} of {end} for "
                    f"{topology.kafka.request_timeout_seconds:g} s; see that every broker of "
                    f"{topology.kafka.bootstrap} runs"
                )
            for record in records:
                refuse_gap(name, state.next_offset, record.offset)
                folded = fold(state, record.offset, record.value or b"")
                state = folded.state
                if folded.delta is not None:
                    yield state, folded.delta
    finally:
        consumer.close(autocommit=False)


HEAD_BYTES = 64 << 10


def check_logs(topology: Topology, codebook: Codebook) -> None:
    """Refuse to begin on logs of another codebook, before anything is claimed or followed.

    Raises: CodebookDiffers; LogCorrupt when a log begins with what kae did not write;
    KafkaUnreachable.
    """
    with reached_brokers(topology):
        consumer = KafkaConsumer(
            **connection(topology),
            client_id=f"{topology.kafka.client_id}-check",
            group_id=None,
            enable_auto_commit=False,
            max_partition_fetch_bytes=HEAD_BYTES,
            bootstrap_timeout_ms=bootstrap_ms(topology),
        )
        try:
            for name, record in _heads(consumer, topology):
                _check(name, record, topology, codebook)
        finally:
            consumer.close(autocommit=False)


def _heads(consumer: KafkaConsumer, topology: Topology) -> Iterator[tuple[str, Any]]:
    """The first record of every log that has one."""
    logs = [TopicPartition(topology.bindings_topic, 0)]
    logs += [TopicPartition(topology.deltas_topic, shard) for shard in range(topology.shards)]
    begins, ends = consumer.beginning_offsets(logs), consumer.end_offsets(logs)
    waiting = {log for log in logs if ends[log] > begins[log]}
    consumer.assign(sorted(waiting))
    for log in waiting:
        consumer.seek(log, begins[log])
    deadline = time.monotonic() + topology.kafka.request_timeout_seconds
    while waiting:
        if time.monotonic() > deadline:
            log = min(waiting)
            raise KafkaUnreachable(
                f"{log.topic}/{log.partition}: its first record did not come in "
                f"{topology.kafka.request_timeout_seconds:g} s; see that every broker of "
                f"{topology.kafka.bootstrap} runs"
            )
        for log, records in consumer.poll(timeout_ms=100).items():
            consumer.pause(log)
            if log in waiting:
                waiting.discard(log)
                yield f"{log.topic}/{log.partition}", records[0]


def _check(name: str, record: Any, topology: Topology, codebook: Codebook) -> None:
    try:
        begun_with = fold(LogState(), record.offset, record.value or b"").state.fingerprint
    except LogCorrupt as error:
        raise LogCorrupt(f"{name}: {error}") from error
    # A log that was cut at its beginning does not say it there; whoever reads it finds out.
    if begun_with and begun_with != codebook.fingerprint:
        raise CodebookDiffers(
            f"{name}: begun with codebook {begun_with}, {topology.codebook_folder} is "
            f"{codebook.fingerprint}; point codebook.path in {topology.path} at the first, or "
            "raise generation for the second"
        )
