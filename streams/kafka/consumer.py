"""A consumer whose answers about partitions are whole, and that names what a log lacks."""

from collections.abc import Callable, Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import (
    CorruptRecordError,
    LeaderNotAvailableError,
    LogTruncationError,
    OffsetOutOfRangeError,
)

from kae.sinks.log.protocol import LOG_ENDED_REMEDY, LogEnded, LogTruncated

POLL_MS = 500
Offsets = dict[TopicPartition, int]


class WholeConsumer(KafkaConsumer):  # type: ignore[misc]  # kafka-python has no types
    """Asks the bounds of every partition that it is asked for.

    kafka-python 3.0.12 leaves out partitions whose leader it does not know, if it knows that of
    another, and ends with a KeyError: so it is for a consumer that has read other topics before,
    and while a topic is being made or its leader changes. Asked alone, each waits for its leader.
    """

    def beginning_offsets(
        self, partitions: Sequence[TopicPartition], timeout_ms: int | None = None
    ) -> Offsets:
        """Raises: KafkaError."""
        return _whole(super().beginning_offsets, partitions, timeout_ms)

    def end_offsets(
        self, partitions: Sequence[TopicPartition], timeout_ms: int | None = None
    ) -> Offsets:
        """Raises: KafkaError."""
        return _whole(super().end_offsets, partitions, timeout_ms)


def _whole(
    ask: Callable[[Sequence[TopicPartition], int | None], Offsets],
    partitions: Sequence[TopicPartition],
    timeout_ms: int | None,
) -> Offsets:
    try:
        return ask(partitions, timeout_ms)
    except KeyError:
        offsets: Offsets = {}
        for place in partitions:
            try:
                offsets |= ask([place], timeout_ms)
            except KeyError as error:
                raise LeaderNotAvailableError(f"{place.topic}/{place.partition}") from error
        return offsets


def poll(consumer: KafkaConsumer, name: str, timeout_ms: int = POLL_MS) -> list[Any]:
    """The next records of every assigned partition, in offset order for each partition.

    Raises: LogTruncated when a partition no longer holds its position, or holds damaged bytes;
    LogEnded when it ends before.
    """
    try:
        batches = consumer.poll(timeout_ms=timeout_ms)
    except CorruptRecordError as error:
        raise LogTruncated(
            f"{name}: the broker's copy is damaged: {error.args[0]}. Have the broker "
            "restore the partition from another replica, or start from a newer snapshot (`kae "
            "snapshot list`)"
        ) from error
    except OffsetOutOfRangeError as error:
        raise _out_of_range(consumer, name, error) from error
    except LogTruncationError as error:
        places = ", ".join(f"{one.topic}/{one.partition}" for one in error.divergent_offsets)
        raise LogEnded(
            f"{places}: the brokers do not have the end that was read (KIP-320): another topic, or "
            f"one that lost its end. {LOG_ENDED_REMEDY}"
        ) from error
    return [record for batch in batches.values() for record in batch]


def _out_of_range(consumer: KafkaConsumer, name: str, error: OffsetOutOfRangeError) -> LogTruncated:
    """What a partition holds instead of the position that is out of range."""
    for place, offset in error.args[0].items():
        begins, ends = consumer.beginning_offsets([place]), consumer.end_offsets([place])
        where = f"{place.topic}/{place.partition}"
        if ends[place] < offset:
            return LogEnded(
                f"{where} ends at {ends[place]}, and is read up to {offset}: another topic, or "
                f"one that lost its end. {LOG_ENDED_REMEDY}"
            )
        return LogTruncated(
            f"{where}: offset {offset} is gone, the log begins at {begins[place]}. Start from a "
            "snapshot, or backfill a new generation"
        )
    return LogTruncated(f"{name}: {error}. Start from a snapshot, or backfill a new generation")
