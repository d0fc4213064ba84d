"""kafka-python's consumer, whose answers about partitions are whole."""

from collections.abc import Callable, Sequence

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import LeaderNotAvailableError

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
