"""Which worker this is, and which partitions the consumer group has assigned to it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from faust.types import TP

from kae.streams.topology.types import Topology


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """The name that a worker signs its claims with, its codebook, and the folder of its stores."""

    name: str
    fingerprint: str
    data: Path


class PartitionAssignment:
    """Replaced as a whole by the event loop; any thread may read it."""

    def __init__(self, topology: Topology) -> None:
        self._items_topic = topology.items_topic
        self._shards = topology.shards
        self._terms = TP(topology.terms_topic, 0)
        self._assigned: frozenset[TP] | None = None

    def replace(self, assigned: Iterable[TP]) -> None:
        self._assigned = frozenset(assigned)

    @property
    def is_known(self) -> bool:
        """Whether the group has made an assignment, which may be empty."""
        return self._assigned is not None

    @property
    def shards(self) -> set[int]:
        return {tp.partition for tp in self._assigned or () if self._is_shard(tp)}

    @property
    def unread(self) -> set[TP]:
        """Partitions that were added to the topics, and that this generation does not read."""
        return {tp for tp in self._assigned or () if not (tp == self._terms or self._is_shard(tp))}

    def _is_shard(self, tp: TP) -> bool:
        return tp.topic == self._items_topic and tp.partition < self._shards

    @property
    def has_terms(self) -> bool:
        return self._terms in (self._assigned or ())
