"""One generation as a replica follows it: what answers from it, and what keeps it up to date."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from kae.encoders.codebook.codebook import Codebook
from kae.streams.clock import now_ms
from kae.streams.control.state import GenerationState
from kae.streams.generations.opening import OpenedGeneration
from kae.streams.kafka.connection import reached_brokers
from kae.streams.kafka.log import KafkaClients
from kae.streams.replica.follower import Follower, FollowerListener
from kae.streams.replica.freshness import FreshnessGauge
from kae.streams.replica.index import ReplicaIndex
from kae.streams.replica.leases import Lease, Leases
from kae.streams.replica.notifier import ViewNotifier
from kae.streams.replica.preview import Previewer
from kae.streams.replica.search import Search
from kae.streams.replica.unknown_words import UnknownWords
from kae.streams.replica.view import View
from kae.streams.snapshots.archives import snapshots_in_log
from kae.streams.topology.types import Topology

DRAIN_SECONDS = 2


@dataclass(frozen=True, slots=True)
class GenerationReplica:
    """What answers for one generation: a codebook reads only the views of its own generation."""

    generation: int
    codebook: Codebook
    index: ReplicaIndex
    leases: Leases
    gauge: FreshnessGauge
    search: Search
    previewer: Previewer
    unknown_words: UnknownWords

    def view(self) -> View:
        """The view that may be read now: without the terms that have ended."""
        return self.index.view.at(now_ms())

    def live_leases(self) -> list[Lease]:
        """The leases of the replicas that are alive now."""
        return self.leases.live(now_ms())


class Serving:
    """The generations that are followed, and the one that answers: one reference.

    Each answer reads `current` once, so no answer mixes generations.
    """

    def __init__(self, current: GenerationReplica, state: GenerationState) -> None:
        self.current = current
        self.state = state
        self.replicas: Mapping[int, GenerationReplica] = MappingProxyType(
            {current.generation: current}
        )
        # Generation -> why it is not followed, though it should be.
        self.problems: Mapping[int, str] = MappingProxyType({})

    def add(self, replica: GenerationReplica) -> None:
        self.replicas = MappingProxyType({**self.replicas, replica.generation: replica})

    def remove(self, generation: int, problem: str = "") -> None:
        """Forget a generation that does not answer; `problem` is why it is not followed."""
        replicas = {number: one for number, one in self.replicas.items() if number != generation}
        self.replicas = MappingProxyType(replicas)
        problems = {n: cause for n, cause in self.problems.items() if n != generation}
        self.problems = MappingProxyType({**problems, generation: problem} if problem else problems)

    def switch(self, generation: int) -> None:
        """Answer from this generation from now on."""
        self.current = self.replicas[generation]


class FollowedGeneration:
    """A generation's replica, begun from snapshots, and the follower that keeps it up to date."""

    def __init__(
        self,
        opened: OpenedGeneration,
        data: Path,
        name: str,
        notifier: ViewNotifier,
        listener: FollowerListener,
    ) -> None:
        """`data` is scratch space.

        Raises: StoreUnusable, DiskFull, KafkaUnreachable.
        """
        topology, codebook = opened.topology, opened.codebook
        self._clients = KafkaClients.for_writing(topology, name)
        with reached_brokers(topology):
            index = ReplicaIndex(
                topology,
                codebook.fingerprint,
                data / "replica",
                lambda shard: snapshots_in_log(
                    topology, self._clients, shard, codebook.fingerprint
                ),
            )
        self.replica = _replica(topology, codebook, index)
        self.follower = Follower(
            topology,
            name,
            self._clients,
            index,
            self.replica.leases,
            self.replica.gauge,
            notifier,
            listener,
        )

    def close(self, within_seconds: float = DRAIN_SECONDS) -> bool:
        """Stop the follower and close the stores; whether it ended in time.

        Stores of a follower that still runs stay open: they are scratch and may be left so.
        """
        if not self.follower.stop(within_seconds):
            return False
        self._clients.close()
        self.replica.index.close()
        return True

    def retire(self, within_seconds: float = DRAIN_SECONDS) -> None:
        """Stop the follower; an answer that still uses a view may finish."""
        if self.follower.stop(within_seconds):
            self._clients.close()
            self.replica.index.retire()


def _replica(topology: Topology, codebook: Codebook, index: ReplicaIndex) -> GenerationReplica:
    search = Search(codebook, topology.replica.beam)
    return GenerationReplica(
        topology.generation,
        codebook,
        index,
        Leases(topology.generation, topology.replica.lease_seconds),
        FreshnessGauge(topology.replica.fresh_within_seconds),
        search,
        Previewer(codebook, topology, search),
        UnknownWords(topology.replica.unknown_requests, codebook.form),
    )
