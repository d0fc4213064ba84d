"""What the group has assigned to a worker: shards, and perhaps the terms."""

from collections.abc import Iterable

from faust.types import TP

from kae.streams.topology import Topology


class Assignment:
    """Replaced as a whole by the event loop; read by any thread."""

    def __init__(self, topology: Topology) -> None:
        self._items_topic = topology.items_topic
        self._terms = TP(topology.terms_topic, 0)
        self._assigned: frozenset[TP] | None = None

    def replace(self, assigned: Iterable[TP]) -> None:
        self._assigned = frozenset(assigned)

    @property
    def is_known(self) -> bool:
        """Whether the group has assigned anything yet, be it nothing."""
        return self._assigned is not None

    @property
    def shards(self) -> set[int]:
        return {tp.partition for tp in self._assigned or () if tp.topic == self._items_topic}

    @property
    def has_terms(self) -> bool:
        return self._terms in (self._assigned or ())
