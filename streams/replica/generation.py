"""A line: one generation as a replica follows it, and all that an answer from it needs.

The parts of one followed generation, put together.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from kae.encoders.codebook.codebook import Codebook
from kae.streams.clock import now_ms
from kae.streams.control.state import GenerationState
from kae.streams.kafka.connection import reached_brokers
from kae.streams.kafka.log import KafkaClients
from kae.streams.replica.follower import Follower
from kae.streams.replica.freshness import FreshnessGauge
from kae.streams.replica.index import ReplicaIndex
from kae.streams.replica.leases import Leases
from kae.streams.replica.notifier import ViewNotifier
from kae.streams.replica.preview import Previews
from kae.streams.replica.search import Search
from kae.streams.replica.unknown_words import UnknownWords
from kae.streams.replica.view import View
from kae.streams.snapshots.archives import snapshots_in_log
from kae.streams.topology.types import Topology


@dataclass(frozen=True, slots=True)
class GenerationReplica:
    """What belongs together: a codebook reads only the views of its own generation."""

    generation: int
    codebook: Codebook
    index: ReplicaIndex
    leases: Leases
    gauge: FreshnessGauge
    search: Search
    previews: Previews
    unknown: UnknownWords

    def view(self) -> View:
        """What may be read now: a term that has ended is in none."""
        return self.index.view.at(now_ms())


class Serving:
    """The lines that are followed, and the one that answers: one reference.

    Who answers takes `line` once, so no answer mixes generations.
    """

    def __init__(self, line: GenerationReplica, book: GenerationState) -> None:
        self.line = line
        self.book = book
        self.lines: Mapping[int, GenerationReplica] = MappingProxyType({line.generation: line})
        # Generation -> why it is not followed, though it should be.
        self.problems: Mapping[int, str] = MappingProxyType({})

    def add(self, line: GenerationReplica) -> None:
        self.lines = MappingProxyType({**self.lines, line.generation: line})

    def remove(self, generation: int, problem: str = "") -> None:
        """Follow a generation no more; it is not the one that answers."""
        lines = {number: line for number, line in self.lines.items() if number != generation}
        self.lines = MappingProxyType(lines)
        problems = {n: told for n, told in self.problems.items() if n != generation}
        self.problems = MappingProxyType({**problems, generation: problem} if problem else problems)

    def switch(self, generation: int) -> None:
        """Answer from this generation from now on."""
        self.line = self.lines[generation]


DRAIN_SECONDS = 2


class GenerationParts:
    """The index of each shard's newest snapshot, and the follower that keeps it on the logs."""

    def __init__(
        self,
        topology: Topology,
        codebook: Codebook,
        data: Path,
        name: str,
        bell: ViewNotifier,
        *,
        serves: Callable[[], bool],
        on_view: Callable[[View, bool], None],
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        """`data` is scratch; the callables are the follower's, called from its thread.

        Raises: StoreUnusable, DiskFull, KafkaUnreachable.
        """
        self.clients = KafkaClients.of(
            topology,
            name,
            timeout_seconds=topology.kafka.delivery_timeout_seconds,
            max_bytes=topology.limits.delta_bytes,
        )
        leases = Leases(topology.generation, topology.replica.lease_seconds)
        gauge = FreshnessGauge(topology.replica.fresh_within_seconds)
        with reached_brokers(topology):
            index = ReplicaIndex(
                topology,
                codebook.fingerprint,
                data / "replica",
                lambda shard: snapshots_in_log(topology, self.clients, shard, codebook.fingerprint),
            )
        search = Search(codebook, topology.replica.beam)
        previews = Previews(codebook, topology, search)
        unknown = UnknownWords(topology.replica.unknown_requests)
        self.line = GenerationReplica(
            topology.generation, codebook, index, leases, gauge, search, previews, unknown
        )
        self.follower = Follower(
            topology, name, self.clients, index, leases, gauge, bell, serves, on_view, on_end
        )

    def close(self, within_seconds: float = DRAIN_SECONDS) -> bool:
        """Stop the follower and close the stores; whether it ended in time.

        Stores are closed only under nobody's hands; they are scratch and need no goodbye.
        """
        if not self.follower.stop(within_seconds):
            return False
        self.clients.close()
        self.line.index.close()
        return True

    def let_go(self, within_seconds: float = DRAIN_SECONDS) -> None:
        """Stop the follower; who still has a view of it may finish with it."""
        if self.follower.stop(within_seconds):
            self.clients.close()
            self.line.index.retire()
