"""The first record of each log, which says with which codebook it was begun."""

import time
from collections.abc import Iterator
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from kae.encoders.codebook import Codebook
from kae.sinks.fold import LogCorrupt, LogState, fold
from kae.streams.bootstrap import bootstrap_ms, reached_brokers
from kae.streams.errors import CodebookDiffers, KafkaUnreachable
from kae.streams.kafka_connection import connection
from kae.streams.topology import Topology

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
