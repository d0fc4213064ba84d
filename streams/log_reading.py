"""Reading a log that kae owns to its end, once, by the rule of every reader."""

import time
from collections.abc import Iterator

from kafka import TopicPartition

from kae.sinks.edits import Delta
from kae.sinks.fold import LogState, fold
from kae.sinks.log import refuse_gap
from kae.streams.errors import KafkaUnreachable
from kae.streams.kafka_log import KafkaClients, poll
from kae.streams.topology import Topology


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
