"""Holding logs back: while the disk is full, a replica reads their shards no further."""

import math
import time

from kafka import KafkaConsumer, TopicPartition

from kae.sinks.store.disk import DiskFull, space_at
from kae.streams.runtime.folders import FullDisk

# RocksDB itself looks every five seconds whether there is room again.
RETRY_SECONDS = 1.0


class HeldLogs:
    """The logs that wait for room; used by the follower's thread alone."""

    def __init__(self, disk: FullDisk, room: int) -> None:
        """They are tried again whenever the disk has `room` bytes left."""
        self._disk = disk
        self._room = room
        self._held: dict[TopicPartition, DiskFull] = {}
        self._retry_at = math.inf

    def __contains__(self, partition: TopicPartition) -> bool:
        return partition in self._held

    def hold(
        self, consumer: KafkaConsumer, partition: TopicPartition, offset: int, error: DiskFull
    ) -> None:
        """Read a log no further than to this record, and that one again."""
        self._disk.note(error)
        self._held[partition] = error
        consumer.seek(partition, offset)
        consumer.pause(partition)
        self._retry_at = time.monotonic() + RETRY_SECONDS

    def retry(self, consumer: KafkaConsumer) -> None:
        """Let the logs go on if it is time and there is room."""
        if time.monotonic() < self._retry_at:
            return
        folder = next(iter(self._held.values())).folder
        if space_at(folder).free < self._room:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            return
        self._retry_at = math.inf
        consumer.resume(*self._held)

    def release(self, partition: TopicPartition) -> None:
        """Take notice that a log's record was applied."""
        if self._held.pop(partition, None) is not None and not self._held:
            self._disk.over()
