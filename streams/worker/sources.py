"""Stopping the shards whose partition of the items topic does not continue where they stand.

Everything here runs on the shard thread.
"""

from collections.abc import Mapping

import msgspec
import structlog

from kae.sinks.shard import Shard
from kae.streams.clock import now_ms
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.source import SourceBounds, SourcePosition, SourceTopic, find_break
from kae.streams.topology.types import Topology
from kae.streams.worker.ownership import OwnedShards, ShardWorkResult

log = structlog.get_logger()


class SourceCheck:
    """Compares the positions of a worker's shards with the topic that they read.

    A shard that cannot go on has that written in its log, so whoever owns it next knows; the others
    go on. Only a reset ends it.
    """

    def __init__(self, topology: Topology, clients: KafkaClients, owned: OwnedShards) -> None:
        self._clients = clients
        self._owned = owned
        self._topic = SourceTopic(clients, topology.items_topic)

    def bounds(self, positions: Mapping[int, int]) -> dict[int, SourceBounds]:
        """What the brokers have of these shards' partitions.

        Raises: KafkaError.
        """
        with self._clients.borrowed_consumer() as consumer:
            return self._topic.bounds(consumer, positions)

    def stop_broken(self) -> ShardWorkResult:
        """Stop the shards that cannot go on where they stand; the result names them.

        Raises: KafkaError.
        """
        result = self._owned.apply_appended()
        shards = {n: one for n, one in self._owned.shards.items() if not one.source.stopped}
        found = self.bounds({number: shard.next_offset for number, shard in shards.items()})
        for number, shard in shards.items():
            if not shard.topic or not shard.next_offset:
                shard.note_topic(found[number].topic)
            cause = find_break(SourcePosition(shard.next_offset, shard.topic), found[number])
            if cause:
                result = result.and_then(self._stop(number, shard, cause))
        return result

    def _stop(self, number: int, shard: Shard, cause: str) -> ShardWorkResult:
        source = msgspec.structs.replace(shard.source, topic=shard.topic, stopped=cause)
        self._owned.note_appended(number, shard.append_source(source, now_ms()))
        result = self._owned.apply_appended()
        if number not in result.lost:
            log.error("shard_stopped", shard=number, cause=cause)
            result.stopped.add(number)
        return result
